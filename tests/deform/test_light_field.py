"""A light in the world: one before training, always positive, turned and met again."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from avatar.deform import LightField, LightFieldConfig
from avatar.geometry import matrices_from_axis_angles, quats_from_axis_angles
from avatar.structs import Pose

ROOTS = torch.tensor([[1.0, 2.0, 0.9], [3.0, 2.0, 1.1], [1.5, 3.0, 1.0], [2.5, 3.0, 1.0]])
CENTER = torch.tensor([2.0, 2.5, 1.0])


def light(shaken: float = 0.0, sees_directions: bool = True) -> LightField:
    poses = Pose(local_quats=quats_from_axis_angles(torch.zeros(4, 2, 3)), root_position_world=ROOTS)
    torch.manual_seed(0)
    field = LightField(poses, LightFieldConfig(hidden=16, sees_directions=sees_directions))
    with torch.no_grad():
        for parameter in (field.coefficients, *last(field).parameters()):
            parameter.add_(shaken * torch.randn_like(parameter))
    return field


def last(field: LightField) -> nn.Linear:
    layer = field.residual[-1]
    assert isinstance(layer, nn.Linear)
    return layer


def surprise(field: LightField) -> float:
    return float(field.surprise().detach())


def samples(count: int = 50) -> tuple[Tensor, Tensor, Tensor]:
    """Normals, points and directions."""
    generator = torch.Generator().manual_seed(1)
    normals, points, directions = torch.randn(3, count, 3, generator=generator)
    return normalize(normals, dim=1), CENTER + points, normalize(directions, dim=1)


def test_before_training_nothing_changes() -> None:
    field = light()
    assert torch.equal(field(*samples()), torch.ones(50, 3))
    assert surprise(field) == 0


def test_the_first_step_goes_towards_the_picture() -> None:
    """Every channel on its own: where red was too dark its gain alone grows."""
    field = light()
    field(*samples())[:, 0].sum().backward()
    steps = {name: parameter.grad for name, parameter in field.named_parameters() if parameter.grad is not None}
    assert not bool(steps["coefficients"][:, 1:].any())
    with torch.no_grad():
        for name, parameter in field.named_parameters():
            parameter.add_(1e-3 * steps[name])
    gain = field(*samples())
    assert float(gain[:, 0].detach().mean()) > 1
    assert torch.equal(gain[:, 1:], torch.ones(50, 2))


@torch.no_grad()
def test_light_is_positive_however_dark() -> None:
    gain = light(shaken=3.0)(*samples(2000))
    assert float(gain.amin()) > 0
    assert float(gain.amin()) < 0.05
    assert float(gain.amax()) > 5


def test_a_lamp_above_by_hand() -> None:
    """``1 + ELU(a z)``: twice as bright on top, exp(-1) below."""
    field = light()
    with torch.no_grad():
        field.coefficients[1] = 1 / math.sqrt(3 / (4 * math.pi))
    normals = torch.tensor([[0.0, 0, 1], [0, 0, -1], [0, 1, 0]])
    gain = field(normals, CENTER.expand(3, 3), -normals)
    torch.testing.assert_close(gain, torch.tensor([2.0, math.exp(-1), 1.0])[:, None].expand(3, 3))


@torch.no_grad()
def test_a_turned_light_is_met_by_a_turned_body() -> None:
    field, angle = light(shaken=0.5), 0.7
    normals, points, directions = samples()
    turn = matrices_from_axis_angles(torch.tensor([0.0, 0.0, angle]))
    turned = (normals @ turn.T, CENTER + (points - CENTER) @ turn.T, directions @ turn.T)
    torch.testing.assert_close(field.turned(angle)(*turned), field(normals, points, directions))
    assert float((field.turned(angle)(*samples()) - field(*samples())).abs().max()) > 0.1
    again = field.turned(angle).turned(2 * math.pi - angle)
    torch.testing.assert_close(again(*samples()), field(*samples()), atol=1e-5, rtol=1e-5)
    assert torch.equal(field.light_from_world, torch.eye(3))


def test_elsewhere_a_body_is_lit_as_where_training_stood() -> None:
    field = light(shaken=0.5)
    inside = torch.tensor([1.2, 2.9, 0.95])
    assert torch.equal(field.shift(inside), torch.zeros(3))
    outside = torch.tensor([7.0, 2.2, 0.5])
    torch.testing.assert_close(field.shift(outside), torch.tensor([-4.0, 0.0, 0.4]))
    normals, points, directions = samples()
    away = points - inside + outside
    expected = field(normals, points - inside + torch.tensor([3.0, 2.2, 0.9]), directions)
    torch.testing.assert_close(field(normals, away + field.shift(outside), directions), expected)


def test_surprise_is_of_the_mean_over_all_directions() -> None:
    """Harmonics small enough for the ELU to be nearly straight have no mean; a bias has."""
    field = light()
    with torch.no_grad():
        field.coefficients.fill_(0.02)
    assert surprise(field) < 1e-6
    with torch.no_grad():
        last(field).bias[1] = 0.5
    assert surprise(field) == pytest.approx(0.25, rel=0.01)


def test_some_lights_see_no_directions() -> None:
    field = light(shaken=0.5, sees_directions=False)
    normals, points, _ = samples()
    assert field(normals, points).shape == (50, 3)
    assert surprise(field) > 0


def test_gradients_reach_the_surface_and_every_parameter() -> None:
    field, (normals, points, directions) = light(shaken=0.5), samples()
    normals.requires_grad_(True)
    field(normals, points, directions).sum().backward()
    gradients = {"normals": normals.grad} | {name: parameter.grad for name, parameter in field.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None or not bool(gradient.any())]


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("prior", -1.0), ("prior", math.nan)])
def test_configs_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"LightFieldConfig\.{name}: expected"):
        LightFieldConfig(**{name: value})
