"""Adam over named parameters."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig, LearnedMix, LightFieldConfig, RefineConfig
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Pose
from avatar.train import LearningRates, RefineRates
from avatar.train.optimizer import Optimizer

RATES = LearningRates(colors=0.5, opacity_logits=0.25, offsets=0.0)


class Two(nn.Module):
    """Parameters called like a few of the avatar's."""

    def __init__(self) -> None:
        super().__init__()
        self.colors = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.opacity_logits = nn.Parameter(torch.tensor([1.0]))
        self.offsets = nn.Parameter(torch.tensor([1.0]))


def descend(module: Two, optimizer: Optimizer, *factors: float) -> None:
    for step, factor in enumerate(factors):
        weights = torch.tensor([1.0, -2.0, 100.0]) * math.cos(1.3 * step)
        loss = (weights * module.colors).sum() + module.opacity_logits.square().sum() + module.offsets.sum()
        loss.backward()
        optimizer.step(factor)


def test_the_first_step_is_as_long_as_the_rate() -> None:
    module = Two()
    descend(module, Optimizer(module, RATES), 0.1)
    torch.testing.assert_close(module.colors.detach(), torch.tensor([0.95, 2.05, 2.95]))
    torch.testing.assert_close(module.opacity_logits.detach(), torch.tensor([0.975]))


def test_the_second_step_by_hand() -> None:
    """Gradients 2 and 1.95 of a square at 1 and 0.975."""
    module = Two()
    descend(module, Optimizer(module, RATES), 0.1, 0.2)
    first, second = 2.0, 1.95
    mean = (0.9 * 0.1 * first + 0.1 * second) / (1 - 0.9**2)
    variance = (0.999 * 0.001 * first**2 + 0.001 * second**2) / (1 - 0.999**2)
    assert float(module.opacity_logits.detach()) == pytest.approx(0.975 - 0.25 * 0.2 * mean / math.sqrt(variance))


def test_gradients_are_cleared_and_a_rate_of_zero_is_a_standstill() -> None:
    module = Two()
    descend(module, Optimizer(module, RATES), 1.0, 1.0)
    assert module.colors.grad is None
    assert float(module.offsets.detach()) == 1.0


def test_moments_go_by_name_and_a_reloaded_one_goes_on() -> None:
    one, other = Two(), Two()
    optimizer = Optimizer(one, RATES)
    assert optimizer.tensors() == {}
    descend(one, optimizer, 0.1, 0.3)
    tensors = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    assert set(tensors) == {
        f"{name}/{field}" for name in ("colors", "opacity_logits") for field in ("exp_avg", "exp_avg_sq", "step")
    }
    other.load_state_dict(one.state_dict())
    resumed = Optimizer(other, RATES)
    resumed.load(tensors)
    for module, its in ((one, optimizer), (other, resumed)):
        descend(module, its, 0.2, 0.1)
    assert torch.equal(one.colors, other.colors)
    assert torch.equal(one.opacity_logits, other.opacity_logits)


def test_load_takes_up_new_parameters() -> None:
    module = Two()
    optimizer = Optimizer(module, RATES)
    descend(module, optimizer, 0.1)
    moments = optimizer.tensors()
    rows = torch.tensor([2, 0])
    module.colors = nn.Parameter(module.colors.detach()[rows])
    for field in ("exp_avg", "exp_avg_sq"):
        moments[f"colors/{field}"] = moments[f"colors/{field}"][rows]
    optimizer.load(moments)
    before = module.colors.detach().clone()
    (module.colors * torch.tensor([100.0, 1.0])).sum().backward()
    optimizer.step(0.1)
    torch.testing.assert_close(module.colors.detach(), before - 0.05)
    assert float(optimizer.tensors()["colors/step"]) == 2


def test_every_parameter_of_an_avatar_has_its_rate() -> None:
    correctives = CorrectivesConfig(num_modes=2, num_control_points=10)
    light = LightFieldConfig(sees_directions=False)
    config = HybridAvatarConfig(
        canonical=HybridConfig(num_gaussians=10),
        deform=DeformConfig(skinning=LearnedMix(), correctives=correctives, light=light),
        refine=RefineConfig(poses=True, joints=True, cameras=True, exposure=True),
    )
    model = load_body("cmu_mb")
    rest = model.rest_pose()
    poses = Pose(local_quats=rest.local_quats[None], root_position_world=rest.root_position_world[None])
    avatar = HybridAvatar(
        shape=model.default_shape(), poses=poses, frame_ids=(0,), config=config, rig="cmu_mb", cameras=("a",)
    )
    fields = [name for name in LearningRates.__dataclass_fields__ if name != "refine"]
    refine = RefineRates(poses=101.0, joints=102.0, cameras=103.0, exposure=104.0)
    rates = LearningRates(**{name: float(place + 1) for place, name in enumerate(fields)}, refine=refine)
    corrections = {name: rates.of(name) for name, _ in avatar.named_parameters() if "refine" in name or "exp" in name}
    assert corrections == {
        "refinement.poses.axis_angles": 101.0,
        "refinement.poses.shifts": 101.0,
        "refinement.joints.offsets": 102.0,
        "refinement.cameras.turns": 103.0,
        "refinement.cameras.shifts": 103.0,
        "exposure.log_gains": 104.0,
        "exposure.biases": 104.0,
    }
    kinds = {name: fields[int(rates.of(name)) - 1] for name, _ in avatar.named_parameters() if name not in corrections}
    assert kinds == {
        **{f"canonical.{name}": name for name in fields[:7]},
        "deform.correctives.modes": "modes",
        "deform.correctives.codes": "codes",
        **{f"deform.correctives.encoder.{layer}.{kind}": "encoder" for layer in (0, 2) for kind in ("weight", "bias")},
        "deform.light.coefficients": "light",
        **{f"deform.light.residual.{layer}.{kind}": "encoder" for layer in range(3) for kind in ("weight", "bias")},
        "deform.mix_logits": "mix",
    }


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_rates_are_checked(value: Any) -> None:
    with pytest.raises(ValueError, match=r"LearningRates\.codes: expected zero or more"):
        LearningRates(codes=value)
