"""The space around one posed body, and its way back to the canonical frame."""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.engine import MeshTree, OccupancyGrid, closest_points
from avatar.geometry import rigid_from_parts
from avatar.structs import Body, Warped

from .band import band_cells, cells_with_rim, grid_of
from .warp import Warp


class PosedBand(NamedTuple):
    """Cells of the world near a posed body, and the canonical cells that their centres come from.

    Attributes:
        ids: which they are, in a grid of ``shape``.
        canonical_ids: as ``cells_with_rim`` of the canonical grid.
        shape: cells along x, y and z.
        box: lowest and highest corner of the grid in the world.
    """

    ids: Int[Tensor, " n"]
    canonical_ids: Int[Tensor, " n"]
    shape: tuple[int, ...]
    box: Float[Tensor, "2 3"]

    def grid(self, is_occupied_nearby: Bool[Tensor, " m"]) -> OccupancyGrid:
        """Those whose canonical cell is occupied, or next to one that is: ``occupied_nearby`` of the canonical grid."""
        return grid_of(self.ids[is_occupied_nearby[self.canonical_ids]], self.shape, self.box)


class PosedSpace:
    """Takes places around a posed body back to the canonical frame.

    It reckons from the body's root joint on, so that single precision does wherever the body stands. Several may share
    a tree.
    """

    def __init__(self, tree: MeshTree, warp: Warp, canonical: Body, body: Body) -> None:
        self._tree, self._warp = tree, warp
        self._origin = body.joints_world[0].detach()
        transforms = body.posed_from_rest
        near = rigid_from_parts(transforms[:, :3, :3], transforms[:, :3, 3] - self._origin)
        body = replace(body, posed_from_rest=near)
        self._vertices = body.vertices_world.detach()
        self._table = warp.table(canonical, body)

    def warp(self, points_world: Float[Tensor, "s 3"], reach_m: float) -> Warped:
        """Places in the world taken back; valid within reach of the body."""
        points, tree = points_world - self._origin, self._settled_tree()
        with torch.no_grad():
            near = closest_points(points, tree)
        warped = self._warp.warped(self._table, tree.faces, points, near)
        return replace(warped, is_valid=warped.is_valid & (near.distances.abs() <= reach_m))

    @torch.no_grad()
    def band(self, canonical: OccupancyGrid, cell_m: float, reach_m: float) -> PosedBand:
        """Cells within reach of the body, to be seen with grids like the ``canonical`` one."""
        tree = self._settled_tree()
        cells = band_cells(tree, cell_m, reach_m)
        places = self._warp.warped(self._table, tree.faces, cells.centres, cells.near).points
        ids, canonical_ids = cells.ids.int(), cells_with_rim(canonical, places).int()
        return PosedBand(ids, canonical_ids, cells.shape, cells.box + self._origin)

    def _settled_tree(self) -> MeshTree:
        if self._tree.vertices is not self._vertices:
            self._tree.update(self._vertices)
        return self._tree
