"""Winding numbers: against the sum of solid angles, and what counts as inside."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from avatar.geometry import winding_numbers

CELL = 0.05
COUNTS = (60, 56, 64)
CORNER = torch.tensor([-1.5, -1.4, -1.6], dtype=torch.float64)


def grid() -> Tensor:
    axes = [CORNER[i] + CELL * torch.arange(COUNTS[i]) for i in range(3)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def ball() -> tuple[Tensor, Tensor]:
    mesh = trimesh.creation.icosphere(3)
    return torch.tensor(mesh.vertices), torch.tensor(mesh.faces)


def solid_angles(points: Tensor, vertices: Tensor, faces: Tensor) -> Tensor:
    """Van Oosterom and Strackee 1983, added up, over the whole sphere."""
    a, b, c = (vertices[faces[:, i]] - points[:, None] for i in range(3))
    la, lb, lc = (x.norm(dim=-1) for x in (a, b, c))
    above = (a * torch.linalg.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return (2 * torch.atan2(above, below)).sum(1) / (4 * math.pi)


@pytest.mark.parametrize("is_open", [False, True])
def test_they_are_the_solid_angles(is_open: bool) -> None:
    vertices, faces = ball()
    if is_open:  # a bowl
        faces = faces[vertices[faces].mean(1)[:, 2] < 0.4]
    found = winding_numbers(vertices, faces, CORNER, CELL, COUNTS)
    points = grid()
    is_near = (points.norm(dim=-1) - 1).abs() < 2 * CELL
    chosen = (~is_near).nonzero()[::97]
    expected = solid_angles(points[tuple(chosen.unbind(1))], vertices, faces)
    torch.testing.assert_close(found[tuple(chosen.unbind(1))], expected, atol=0.02, rtol=0)


def test_what_is_inside_has_the_volume_of_the_ball() -> None:
    is_inside = winding_numbers(*ball(), CORNER, CELL, COUNTS) > 0.5
    assert float(is_inside.sum()) * CELL**3 == pytest.approx(4 / 3 * math.pi, rel=0.02)
    points = grid()[is_inside]
    assert float(points.norm(dim=-1).max()) < 1 + CELL


def test_layers_add_up_and_turned_ones_count_back() -> None:
    vertices, faces = ball()
    middle = tuple(count // 2 for count in COUNTS)
    twice = torch.cat([faces, faces + len(vertices)])
    layered = winding_numbers(torch.cat([vertices, 0.7 * vertices]), twice, CORNER, CELL, COUNTS)
    assert float(layered[middle]) == pytest.approx(2, abs=0.02)
    assert float(winding_numbers(vertices, faces.flip(1), CORNER, CELL, COUNTS)[middle]) == pytest.approx(-1, abs=0.02)


def test_nothing_goes_around_nothing() -> None:
    with pytest.raises(ValueError, match="a finite surface with area"):
        winding_numbers(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]), CORNER.float(), CELL, COUNTS)
