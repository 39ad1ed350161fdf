"""Light by the posed normal."""

import torch

from avatar.deform.normal_light import NormalLight
from avatar.geometry import SH_C0


def axes() -> torch.Tensor:
    """The six directions along the axes: means over them are means over the sphere to degree three."""
    return torch.cat([torch.eye(3), -torch.eye(3)])


def factors(light: NormalLight, normals: torch.Tensor) -> torch.Tensor:
    """What it makes of white."""
    white = torch.full((len(normals), 1, 3), 0.5 / SH_C0)
    return light(white, None, normals)[:, 0] * SH_C0 + 0.5


def test_without_coefficients_nothing_changes() -> None:
    torch.testing.assert_close(factors(NormalLight(), axes()), torch.ones(6, 3))


def test_it_changes_no_means_over_all_directions() -> None:
    light = NormalLight()
    torch.nn.init.normal_(light.coefficients)
    torch.testing.assert_close(factors(light, axes()).mean(0), torch.ones(3))


def test_a_lamp_above_by_hand() -> None:
    light = NormalLight()
    with torch.no_grad():
        light.coefficients[2, 0] = 0.5  # z, red
        light.coefficients[6, 1] = 0.1  # 3 z^2 - 1, green
        light.coefficients[3, 2] = 2.0  # x y, blue
    normals = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [0.6, 0.8, 0.0]])
    expected = torch.tensor([[1.5, 1.2, 1.0], [0.5, 1.2, 1.0], [1.0, 0.9, 1.96]])
    torch.testing.assert_close(factors(light, normals), expected)


def test_gradient_reaches_every_coefficient() -> None:
    light = NormalLight()
    factors(light, torch.nn.functional.normalize(torch.tensor([[0.2, 0.5, 0.7]]), dim=1)).sum().backward()
    assert light.coefficients.grad is not None
    assert bool((light.coefficients.grad != 0).all())
