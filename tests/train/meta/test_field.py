"""Priors of radiance fields, learnt from a corner of the sample."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.canonical import FieldConfig
from avatar.checkpoint import load_field
from avatar.engine import HashGrid
from avatar.model import FieldAvatar, FieldAvatarConfig
from avatar.structs import Capture, Split
from avatar.train import FieldFit, FieldFitConfig, FieldStepConfig, Limits
from avatar.train.meta import FieldMetaConfig, FieldMetaFit, FirstOrderMaml, InnerRates, MetaConfig, Reptile
from avatar.train.meta.field import FrameTask
from avatar.train.template_start import TemplateStartConfig

AVATAR = FieldAvatarConfig(
    canonical=FieldConfig(
        grid=HashGrid(num_levels=4, log2_table_size=12, per_level_scale=1.6), hidden=16, step_m=(0.02, 0.02)
    )
)
LOOK = FieldStepConfig(num_samples=1024, most_rays=256)
TEMPLATE = TemplateStartConfig(steps=20, points=512)
RATES = InnerRates(table=1e-2, nets=2e-3, sharpness=2e-3)


def recipe(method: Reptile | FirstOrderMaml, tasks_per_step: int = 1) -> FieldMetaConfig:
    """Small and quick."""
    meta = MetaConfig(method=method, rates=RATES, tasks_per_step=tasks_per_step, checkpoint_seconds=1000.0)
    return FieldMetaConfig(avatar=AVATAR, look=LOOK, template=TEMPLATE, meta=meta)


REPTILE = recipe(Reptile(inner_steps=3))
MAML = recipe(FirstOrderMaml(inner_steps=2), tasks_per_step=2)


def tensors(avatar: FieldAvatar) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in avatar.canonical.state_dict().items()}


def assert_identical(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("config", [REPTILE, MAML], ids=["reptile", "maml"])
def test_resumed_it_ends_at_the_same_bits(
    config: FieldMetaConfig, sample: Capture, corner: Split, tmp_path: Path
) -> None:
    def start(run: str) -> FieldMetaFit:
        return FieldMetaFit([(sample, corner)], tmp_path / run, config, Limits(steps=4))

    whole, broken = start("whole"), start("broken")
    before = tensors(whole.avatar)
    list(whole)
    next(iter(broken))
    broken.save()
    assert list(start("broken"))[-1].step == 4
    saved = [load_field(tmp_path / run) for run in ("whole", "broken")]
    found = [avatar.canonical.state_dict() for avatar in saved]
    assert_identical(found[0], found[1])
    assert_identical(found[0], tensors(whole.avatar))
    assert all(not torch.equal(found[0][name], before[name]) for name in ("table", "log_sharpness"))


def test_frames_of_all_captures_are_tasks(sample: Capture, corner: Split, tmp_path: Path) -> None:
    """The second person has another shape, and lives in the canonical frame of the first."""
    other = replace(sample, name="twin", shape=replace(sample.shape, values=sample.shape.values + 0.1))
    single = replace(corner, frame_ids=(7,))
    fit = FieldMetaFit([(sample, corner), (other, single)], tmp_path, REPTILE, Limits(steps=4))
    assert [task.name for task in fit.tasks] == [
        *(f"frame {frame} of {sample.name}" for frame in corner.frame_ids),
        "frame 7 of twin",
    ]
    assert {fit.task(step, 0).name for step in range(4)} == {task.name for task in fit.tasks}
    list(fit)
    task = fit.tasks[-1]
    assert isinstance(task, FrameTask)
    twin = task.avatar
    assert torch.equal(twin.shape.values, other.shape.values)
    assert torch.equal(twin.canonical_shape.values, sample.shape.values)


def test_a_fit_begins_with_the_prior(sample: Capture, corner: Split, tmp_path: Path) -> None:
    """And sees at once what a fit from scratch has to learn."""
    config = recipe(Reptile(inner_steps=12))
    list(FieldMetaFit([(sample, corner)], tmp_path / "prior", config, Limits(steps=12)))
    prior = load_field(tmp_path / "prior")
    fit_config = FieldFitConfig(avatar=AVATAR, look=LOOK, template=TEMPLATE, proxies=None)
    one = replace(corner, frame_ids=(14,))
    losses = []
    for start in (None, prior):
        fit = FieldFit(sample, one, tmp_path / f"{len(losses)}", fit_config, Limits(steps=5), prior=start)
        if start is not None:
            assert_identical(dict(fit.avatar.canonical.named_parameters()), dict(prior.canonical.named_parameters()))
        losses.append(sum(report.loss for report in fit))
    assert losses[1] < 0.8 * losses[0]


def test_captures_of_one_prior_have_one_skeleton(sample: Capture, corner: Split, tmp_path: Path) -> None:
    other = replace(sample, name="twin", rig="smpl")
    with pytest.raises(ValueError, match=r"expected one skeleton, got .* and 'smpl' in twin"):
        FieldMetaFit([(sample, corner), (other, corner)], tmp_path, REPTILE, Limits(steps=1))


def test_maml_needs_a_camera_to_hold_out(sample: Capture, corner: Split, tmp_path: Path) -> None:
    mono = replace(corner, camera_ids=(3,))
    with pytest.raises(ValueError, match=r"split 'corner': first-order MAML holds cameras out; expected two"):
        FieldMetaFit([(sample, mono)], tmp_path, MAML, Limits(steps=1))
