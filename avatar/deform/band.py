"""Which cells of space a field must be asked in: those near a body's surface, and fewer once the field is known."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool3d, pad

from avatar.engine import MeshTree, OccupancyGrid, closest_points

_BLOCK = 4
"""Cells along a block, whose one distance to the surface decides whether its cells need one of their own."""


@torch.no_grad()
def band_grid(tree: MeshTree, cell_m: float, reach_m: float) -> OccupancyGrid:
    """Cells whose centre is nearer to the surface than ``reach_m`` and half a cell's diagonal, inside and outside.

    So every place within ``reach_m`` is in one of them. The box is in the frame of the tree; cells are cubes.
    """
    low = tree.vertices.amin(0) - reach_m
    size = tree.vertices.amax(0) + reach_m - low
    blocks = (size / (_BLOCK * cell_m)).ceil().long().tolist()
    half_diagonal_m = 0.5 * 3**0.5 * cell_m
    centres = low + _centres(blocks, low) * (_BLOCK * cell_m)
    is_near = _is_within(tree, centres, reach_m + _BLOCK * half_diagonal_m)
    within = (_centres([_BLOCK] * 3, low) - 0.5 * _BLOCK) * cell_m
    cells = (centres[is_near][:, None] + within).flatten(0, 1)
    occupied = torch.zeros(len(centres), _BLOCK**3, dtype=torch.bool, device=low.device)
    occupied[is_near] = _is_within(tree, cells, reach_m + half_diagonal_m).view(-1, _BLOCK**3)
    occupied = occupied.view(*blocks, *[_BLOCK] * 3).permute(0, 3, 1, 4, 2, 5)
    shape = [_BLOCK * n for n in blocks]
    return OccupancyGrid(occupied.reshape(shape), torch.stack([low, low + cell_m * low.new_tensor(shape)]))


@torch.no_grad()
def tightened(
    grid: OccupancyGrid,
    canonical: OccupancyGrid,
    to_canonical: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]],
) -> OccupancyGrid:
    """The cells of ``grid`` whose centre ``to_canonical`` takes to an occupied canonical cell or next to one."""
    cells = grid.occupied.nonzero()
    low, high = grid.box
    centres = low + (cells + 0.5) * ((high - low) / low.new_tensor(grid.occupied.shape))
    occupied = torch.zeros_like(grid.occupied)
    occupied[tuple(cells[_is_in_or_next_to(canonical, to_canonical(centres))].unbind(1))] = True
    return grid._replace(occupied=occupied)


def _is_in_or_next_to(grid: OccupancyGrid, points: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
    # Two cells around: the first may be next to an occupied one, the second stands for all that is further out.
    near = max_pool3d(pad(grid.occupied.float(), (2,) * 6)[None], 3, stride=1, padding=1)[0] > 0
    sizes = torch.tensor(grid.occupied.shape, device=points.device)
    low, high = grid.box
    cells = ((points - low) / (high - low) * sizes).floor().long() + 2
    return near[tuple(cells.clamp_min(0).minimum(sizes + 3).unbind(1))]


def _is_within(tree: MeshTree, points: Float[Tensor, "n 3"], distance: float) -> Bool[Tensor, " n"]:
    return closest_points(points, tree).distances.abs() <= distance


def _centres(counts: list[int], like: Tensor) -> Float[Tensor, "n 3"]:
    """Centres of unit cells from the origin on, the last axis fastest."""
    axes = [torch.arange(count, device=like.device, dtype=like.dtype) + 0.5 for count in counts]
    return torch.cartesian_prod(*axes).view(-1, 3)
