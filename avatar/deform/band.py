"""Which cells of space a field must be asked in: those near a body's surface, and fewer once the field is known."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from avatar.engine import ClosestPoints, MeshTree, OccupancyGrid, closest_points

_BLOCK = 4
"""Cells along a block, whose one distance to the surface decides whether its cells need one of their own."""
_RIM = 2
"""Cells added around a grid: the first may be next to an occupied one, the second stands for all further out."""


class BandCells(NamedTuple):
    """Cells whose centre is near a surface.

    Attributes:
        ids: which they are, in a grid of ``shape`` with the last axis fastest.
        centres: in the frame of the surface, metres.
        near: where the surface is closest to the centres.
        shape: cells along x, y and z.
        box: lowest and highest corner of the grid.
    """

    ids: Int[Tensor, " n"]
    centres: Float[Tensor, "n 3"]
    near: ClosestPoints
    shape: tuple[int, ...]
    box: Float[Tensor, "2 3"]


@torch.no_grad()
def band_cells(tree: MeshTree, cell_m: float, reach_m: float) -> BandCells:
    """Cells whose centre is nearer to the surface than ``reach_m`` and half a cell's diagonal, inside and outside.

    So every place within ``reach_m`` is in one of them. Cells are cubes.
    """
    low = tree.vertices.amin(0) - reach_m
    blocks = ((tree.vertices.amax(0) + reach_m - low) / (_BLOCK * cell_m)).ceil().long()
    half_diagonal_m = 0.5 * 3**0.5 * cell_m
    corners = _BLOCK * torch.cartesian_prod(*[torch.arange(n, device=low.device) for n in blocks.tolist()]).view(-1, 3)
    middles = low + (corners + 0.5 * _BLOCK) * cell_m
    is_near = closest_points(middles, tree).distances.abs() <= reach_m + _BLOCK * half_diagonal_m
    within = torch.cartesian_prod(*[torch.arange(_BLOCK, device=low.device)] * 3)
    cells = (corners[is_near][:, None] + within).flatten(0, 1)
    centres, shape = low + (cells + 0.5) * cell_m, _BLOCK * blocks
    near = closest_points(centres, tree)
    is_near = near.distances.abs() <= reach_m + half_diagonal_m
    near = ClosestPoints(*(tensor[is_near] for tensor in near))
    box = torch.stack([low, low + cell_m * shape])
    return BandCells(_flat(cells[is_near], shape), centres[is_near], near, tuple(shape.tolist()), box)


def band_grid(tree: MeshTree, cell_m: float, reach_m: float) -> OccupancyGrid:
    """``band_cells`` as a grid in the frame of the tree."""
    cells = band_cells(tree, cell_m, reach_m)
    return grid_of(cells.ids, cells.shape, cells.box)


def grid_of(ids: Int[Tensor, " n"], shape: tuple[int, ...], box: Float[Tensor, "2 3"]) -> OccupancyGrid:
    """A grid where the cells with these ids are occupied."""
    occupied = torch.zeros(shape, dtype=torch.bool, device=ids.device)
    occupied.view(-1)[ids] = True
    return OccupancyGrid(occupied, box)


def cells_with_rim(grid: OccupancyGrid, points: Float[Tensor, "n 3"]) -> Int[Tensor, " n"]:
    """The cells of places, wherever they are, as indices for ``occupied_nearby``."""
    sizes = torch.tensor(grid.occupied.shape, device=points.device)
    low, high = grid.box
    cells = ((points - low) / (high - low) * sizes).floor().nan_to_num(-_RIM).clamp(-_RIM, 2**30).long() + _RIM
    return _flat(cells.minimum(sizes + 2 * _RIM - 1), sizes + 2 * _RIM)


def occupied_nearby(grid: OccupancyGrid) -> Bool[Tensor, " n"]:
    """Of every cell of the grid with its rim, whether it or one of its 26 neighbours is occupied."""
    nearby = pad(grid.occupied.bool(), (_RIM,) * 6)
    for axis in range(3):  # the rim's outer cells are empty, so nothing comes around
        nearby = nearby | nearby.roll(1, axis) | nearby.roll(-1, axis)
    return nearby.flatten()


def _flat(cells: Int[Tensor, "n 3"], shape: Int[Tensor, "3"]) -> Int[Tensor, " n"]:
    return (cells[:, 0] * shape[1] + cells[:, 1]) * shape[2] + cells[:, 2]
