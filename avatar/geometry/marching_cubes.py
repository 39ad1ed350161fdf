"""The surface between negative and other values of a grid, as triangles (Lorensen and Cline 1987).

Which triangles a cell gets follows from the signs at its eight corners. The table of all 256 cases is not written down
but traced: on each face of the cell, lines go from edge to edge around every run of neighbouring inside corners, and
the lines of all six faces join to loops. What is drawn on a face depends on its own four signs alone, so neighbouring
cells agree on it, also where inside corners face each other across a diagonal: there they are kept apart. Loops are cut
into triangles by diagonals through the cell, never along a face, where the neighbour's might lie as well. So every edge
has two triangles and every vertex one fan of them, unless it is at the border of the grid.
"""

from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

Edge = tuple[int, int]
"""Of a cell: the corner where it starts, and the axis along which it runs; corner ``x + 2 y + 4 z`` is at (x, y, z)."""
_EDGES: list[Edge] = [(corner, axis) for corner in range(8) for axis in range(3) if not corner >> axis & 1]


def marching_cubes(values: Float[Tensor, "x y z"]) -> tuple[Float[Tensor, "v 3"], Int[Tensor, "t 3"]]:
    """Vertices, in cells from the grid's first point on, and triangles, counter-clockwise seen from values of 0 and up.

    One vertex lies on each edge of the grid whose ends differ in sign, where the straight line between their values is
    zero. Where an end is exactly zero vertices share a place and triangles have no area, but the surface holds
    together. It is closed if no value at the border of the grid is negative. No gradient passes.

    Raises ValueError for values that are not finite.
    """
    values = values.detach()
    if not bool(values.isfinite().all()):
        raise ValueError(f"values: expected finite numbers, got {int((~values.isfinite()).sum())} that are not")
    if min(values.shape) < 2:
        return values.new_empty(0, 3), torch.empty(0, 3, dtype=torch.int64, device=values.device)
    cells, cases = _cut_cells(values)
    strides = torch.tensor([values.shape[1] * values.shape[2], values.shape[2], 1], device=values.device)
    start, axis = torch.tensor(_EDGES, device=values.device).unbind(1)
    of_edges = 3 * ((torch.stack([start, start >> 1, start >> 2], 1) & 1) * strides).sum(1) + axis
    rows = _cases().to(values.device)[cases]
    is_used = rows[..., 0] >= 0
    keys = (3 * (cells * strides).sum(1)[:, None, None] + of_edges[rows])[is_used]
    keys, faces = torch.unique(keys, return_inverse=True)
    return _places(values, keys, strides), faces.view(-1, 3)


def _cut_cells(values: Tensor) -> tuple[Int[Tensor, "n 3"], Int[Tensor, " n"]]:
    """Cells with corners of both kinds, and which case each is: bit ``c`` says that corner ``c`` is inside."""
    is_inside = (values < 0).byte()
    ends = [slice(None, -1), slice(1, None)]
    cases = torch.zeros_like(is_inside[1:, 1:, 1:])
    for corner in range(8):
        cases |= is_inside[ends[corner & 1], ends[corner >> 1 & 1], ends[corner >> 2]] << corner
    cells = ((cases != 0) & (cases != 255)).nonzero()
    return cells, cases[tuple(cells.unbind(1))].long()


def _places(values: Tensor, keys: Int[Tensor, " v"], strides: Int[Tensor, "3"]) -> Float[Tensor, "v 3"]:
    """Where the surface cuts edges, each named by three times its first point plus its axis."""
    points, axes = keys // 3, keys % 3
    first, second = values.flatten()[points], values.flatten()[points + strides[axes]]
    places = torch.stack(torch.unravel_index(points, values.shape), 1).to(values.dtype)
    places[torch.arange(len(keys), device=keys.device), axes] += first / (first - second)
    return places


@cache
def _cases() -> Int[Tensor, "256 t 3"]:
    """The triangles of every case as rows of ``_EDGES``; -1 fills up."""
    table = [[triangle for loop in _loops(case) for triangle in _cut(loop)] for case in range(256)]
    most = max(map(len, table))
    rows = [[[_EDGES.index(edge) for edge in t] for t in ts] + [[-1] * 3] * (most - len(ts)) for ts in table]
    return torch.tensor(rows)


def _loops(case: int) -> list[list[Edge]]:
    """Where the surface cuts the faces of a cell: cut edges, counter-clockwise seen from outside."""
    following = {}
    for axis in range(3):
        for side in range(2):
            corners = _around(axis, side)
            is_inside = [bool(case >> corner & 1) for corner in corners]
            for i in range(4):
                if is_inside[i] and not is_inside[i - 1]:  # a run of inside corners begins
                    end = next(j for j in range(i, i + 4) if not is_inside[(j + 1) % 4])
                    entered = _edge(corners[i - 1], corners[i])
                    following[entered] = _edge(corners[end % 4], corners[(end + 1) % 4])
    loops = []
    while following:
        loop = [next(iter(following))]
        while (edge := following.pop(loop[-1])) != loop[0]:
            loop.append(edge)
        loops.append(loop)
    return loops


def _around(axis: int, side: int) -> list[int]:
    """The corners of a face, counter-clockwise seen from outside the cell."""
    first, second = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    corners = [0, second, first | second, first] if side == 0 else [0, first, first | second, second]
    return [(side << axis) | corner for corner in corners]


def _edge(one: int, other: int) -> Edge:
    return min(one, other), (one ^ other).bit_length() - 1


def _cut(loop: list[Edge]) -> list[tuple[Edge, Edge, Edge]]:
    triangles = _triangles(loop)
    assert triangles is not None, "every loop on a cell's faces can be cut"
    return triangles


def _triangles(loop: list[Edge]) -> list[tuple[Edge, Edge, Edge]] | None:
    """A loop cut into triangles by diagonals that lie on no face; None where that cannot be."""
    if len(loop) < 3:
        return []
    for apex in range(1, len(loop) - 1):
        sides = loop[: apex + 1], loop[apex:]
        if any(len(side) > 2 and _share_a_face(side[0], side[-1]) for side in sides):
            continue
        parts = [_triangles(side) for side in sides]
        if parts[0] is not None and parts[1] is not None:
            return [(loop[0], loop[apex], loop[-1]), *parts[0], *parts[1]]
    return None


def _share_a_face(one: Edge, other: Edge) -> bool:
    return any(axis not in (one[1], other[1]) and not (one[0] ^ other[0]) >> axis & 1 for axis in range(3))
