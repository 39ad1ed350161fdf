"""A mesh finds the surface of fields that are known."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from avatar.canonical import FieldShellConfig, field_shell
from avatar.engine import OccupancyGrid
from avatar.geometry import vertex_normals
from avatar.structs import FieldShape, Mesh, RadianceField, RaySamples

Distance = Callable[[Tensor], Tensor]
RADIUS_M, SURFACE_M = 0.3, 0.33
BOX = torch.tensor([[-0.6] * 3, [0.6] * 3])


def ball(points: Tensor) -> Tensor:
    return points.norm(dim=1) - SURFACE_M


def field_of(distance: Distance, band_m: float = 0.06, cells: int = 60) -> RadianceField:
    """Known in cells near its surface alone; elsewhere it would mislead."""
    axis = BOX[0, 0] + (torch.arange(cells) + 0.5) * 1.2 / cells
    centres = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(-1, 3)
    occupied = (distance(centres).abs() < band_m).view(cells, cells, cells)

    def never(samples: RaySamples) -> FieldShape:
        raise AssertionError(samples)

    def only_near(points: Tensor) -> Tensor:
        found = distance(points)
        return torch.where(found.abs() < band_m + 0.02, found, -found)

    grid = OccupancyGrid(occupied, BOX)
    return RadianceField(
        shape=never, radiance=lambda shape: shape.gradients, distance=only_near, grid=grid, step_m=0.01
    )


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """A ball three centimetres too small and, in the middle of it, a tiny one."""
    large, tiny = trimesh.creation.icosphere(4, RADIUS_M), trimesh.creation.icosphere(1, 0.01)
    vertices = torch.from_numpy(np.concatenate([large.vertices, tiny.vertices])).float()
    faces = np.concatenate([large.faces, tiny.faces + len(large.vertices)])
    return Mesh(vertices=vertices, faces=torch.from_numpy(faces))


def radii(mesh: Mesh, shell: Tensor) -> Tensor:
    return (mesh.vertices + shell)[:-42].norm(dim=1)


def test_every_vertex_finds_the_surface_and_what_has_none_near_stays(mesh: Mesh) -> None:
    shell = field_shell(field_of(ball), mesh)
    torch.testing.assert_close(radii(mesh, shell), torch.full((2562,), SURFACE_M), atol=1e-4, rtol=0)
    assert float(shell[-42:].abs().max()) < 1e-6


def test_inwards_too(mesh: Mesh) -> None:
    larger = replace(mesh, vertices=mesh.vertices * 1.2)
    radius = radii(larger, field_shell(field_of(ball), larger))
    torch.testing.assert_close(radius, torch.full((2562,), SURFACE_M), atol=1e-4, rtol=0)


def test_it_is_the_nearest_way_out(mesh: Mesh) -> None:
    """A second skin five centimetres farther out is not taken, and the way into it is none out."""
    radius = radii(
        mesh, field_shell(field_of(lambda points: ball(points).minimum((points.norm(dim=1) - 0.38).abs() - 0.01)), mesh)
    )
    torch.testing.assert_close(radius, torch.full((2562,), SURFACE_M), atol=1e-4, rtol=0)


def test_a_hole_is_bridged_and_a_spike_left_out(mesh: Mesh) -> None:
    """Where the field has no surface within reach its neighbours tell; a thin spike is an outlier."""

    def pricked(points: Tensor) -> Tensor:
        to_axis = points[:, :2].norm(dim=1)
        bottomless = torch.where((to_axis < 0.04) & (points[:, 2] > 0), points.new_tensor(0.05), ball(points))
        spike = torch.where((to_axis < 0.015) & (points[:, 2] < 0), points[:, 2].abs() - 0.39, torch.inf)
        return bottomless.minimum(spike)

    config = FieldShellConfig(smooth_m=0.02)
    radius = radii(mesh, field_shell(field_of(pricked), mesh, config))
    assert float((radius - SURFACE_M).abs().max()) < 2e-3
    assert float((radius - SURFACE_M).abs().median()) < 2e-4


def test_it_goes_along_the_normals(mesh: Mesh) -> None:
    moved = replace(mesh, vertices=mesh.vertices + torch.tensor([0.01, 0.0, 0.0]))
    shell = field_shell(field_of(ball), moved)[:-42]
    normals = vertex_normals(moved.vertices, moved.faces)[:-42]
    torch.testing.assert_close((shell * normals).sum(1).abs(), shell.norm(dim=1))
    assert float((moved.vertices[:-42] + shell).norm(dim=1).sub(SURFACE_M).abs().max()) < 1e-3


@pytest.mark.parametrize("name", ["reach_m", "step_m", "smooth_m", "outlier_m"])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_configs_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"FieldShellConfig\.{name}: expected a positive number"):
        FieldShellConfig(**{name: value})
