"""The band around a surface against brute force, and what tightening leaves of it."""

import math

import pytest
import torch
from torch import Tensor

from avatar.deform import band_grid
from avatar.deform.band import cells_with_rim, occupied_nearby
from avatar.engine import MeshTree, OccupancyGrid, closest_points_reference
from avatar.structs import Mesh


def centres(grid: OccupancyGrid) -> Tensor:
    shape = grid.occupied.shape
    low, high = grid.box
    axes = [low[i] + (torch.arange(n) + 0.5) * ((high[i] - low[i]) / n) for i, n in enumerate(shape)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


@pytest.mark.parametrize(("cell_m", "reach_m"), [(0.02, 0.05), (0.013, 0.01), (0.05, 0.2)])
def test_a_cell_is_in_the_band_where_its_centre_is_near_enough(tube: Mesh, cell_m: float, reach_m: float) -> None:
    tree = MeshTree(tube.faces, tube.vertices)
    grid = band_grid(tree, cell_m, reach_m)
    points = centres(grid)
    distances = closest_points_reference(points.flatten(0, 2), tree).distances.abs().view(grid.occupied.shape)
    limit = reach_m + 0.5 * math.sqrt(3) * cell_m
    is_clear = (distances - limit).abs() > 1e-6
    assert torch.equal(grid.occupied[is_clear], (distances <= limit)[is_clear])
    sizes = (grid.box[1] - grid.box[0]) / torch.tensor(grid.occupied.shape)
    torch.testing.assert_close(sizes, torch.full((3,), cell_m))
    assert bool((grid.box[0] <= tube.vertices.amin(0) - reach_m + 1e-6).all())
    assert bool((grid.box[1] >= tube.vertices.amax(0) + reach_m - 1e-6).all())


def test_every_place_within_reach_is_in_the_band(tube: Mesh) -> None:
    grid = band_grid(MeshTree(tube.faces, tube.vertices), 0.02, 0.05)
    turns = torch.randn(len(tube.vertices), 3, generator=torch.Generator().manual_seed(0))
    places = tube.vertices + 0.05 * turns / turns.norm(dim=1, keepdim=True)
    assert bool(grid.occupied[tuple(((places - grid.box[0]) / 0.02).long().unbind(1))].all())


def test_the_inside_beyond_reach_is_empty() -> None:
    box = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    ids = torch.tensor([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]])
    sides = torch.tensor([[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])
    grid = band_grid(MeshTree(torch.cat([ids, sides]), box), 0.05, 0.1)
    low, high = (((torch.full((3,), at) - grid.box[0]) / 0.05).long() for at in (0.2, 0.8))
    assert not grid.occupied[low[0] : high[0], low[1] : high[1], low[2] : high[2]].any()
    assert grid.occupied.any()


def test_nearby_is_the_same_cell_or_a_neighbour_of_it() -> None:
    occupied = torch.zeros(6, 5, 4, dtype=torch.bool)
    occupied[0, 3, 2] = True
    grid = OccupancyGrid(occupied, torch.tensor([[10.0, 0, -1], [10.6, 0.5, -0.6]]))
    axes = [torch.arange(-3, n + 3) for n in occupied.shape]
    cells = torch.cartesian_prod(*axes)
    places = grid.box[0] + 0.1 * (cells + 0.5)
    is_near = occupied_nearby(grid)[cells_with_rim(grid, places)]
    assert torch.equal(is_near, (cells - torch.tensor([0, 3, 2])).abs().amax(1) <= 1)


def test_nothing_is_near_nothing_or_far_away() -> None:
    full = OccupancyGrid(torch.ones(2, 3, 4, dtype=torch.bool), torch.tensor([[0.0, 0, 0], [1.0, 1, 1]]))
    places = torch.tensor([[0.5, 0.5, 0.5], [1e30, 0.5, 0.5], [0.5, -torch.inf, 0.5], [0.5, torch.nan, 0.5]])
    cells = cells_with_rim(full, places)
    assert occupied_nearby(full)[cells].tolist() == [True, False, False, False]
    assert not occupied_nearby(full._replace(occupied=~full.occupied)).any()
