"""Canonical radiance field and body to the field in the world."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.engine import MeshTree, OccupancyGrid, closest_points
from avatar.geometry import rigid_from_parts
from avatar.structs import Body, FieldShape, RadianceField, RaySamples, Warped, map_tensors

from .band import band_grid, tightened
from .codes import FieldCodes
from .light_field import LightField
from .warp import VertexBlend, Warp

_MOST_GRIDS = 256
_SAME_POSE = 2e-3  # by how much the joints' transforms may differ, metres and radians, for a grid to serve again


@dataclass(frozen=True, kw_only=True)
class FieldDeformConfig:
    """How a field follows the body.

    Attributes:
        warp: how places find their canonical ones.
        reach_m: how far from the naked body there may be something.
        cell_m: edge of the cells of the band around the posed body.
    """

    warp: Warp = field(default_factory=VertexBlend)
    reach_m: float = 0.075
    cell_m: float = 0.0125

    def __post_init__(self) -> None:
        for name in ("reach_m", "cell_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"FieldDeformConfig.{name}: expected a positive number, got {getattr(self, name)}")


class FieldDeformer(nn.Module):
    """Calling it takes a canonical field to the pose of a body.

    Attributes:
        canonical_body: what the field sits around in the canonical frame; its rig is that of all bodies.
        weight_logits: of every skinning weight, what softmax adds to its logarithm, where weights are learnt.
        light: gain of the colours, from whoever makes the avatar; None for none.
        code: what the canonical field is told of a pose, likewise; None for nothing.
    """

    def __init__(self, canonical_body: Body, config: FieldDeformConfig) -> None:
        super().__init__()
        self.canonical_body, self.config = canonical_body, config
        self.weight_logits = None
        if isinstance(config.warp, VertexBlend) and config.warp.learned_weights:
            self.weight_logits = nn.Parameter(torch.zeros_like(canonical_body.bone_weights))
        self.light: LightField | None = None
        self.code: FieldCodes | None = None
        self._tree = self._new_tree()
        self._grids: dict[int, tuple[Tensor, OccupancyGrid]] = {}
        self._canonical_grid: OccupancyGrid | None = None

    def forward(self, scene: RadianceField, body: Body) -> RadianceField:
        """The field in the world, in the pose of ``body``, whose shape may be another than the canonical one's."""
        posed = PosedSpace(self._tree, self._reweighted(self.canonical_body), self._reweighted(body), self.config)
        code = None if self.code is None else self.code(body.pose)

        def shape(samples: RaySamples) -> FieldShape:
            warped = posed.warp(samples.points)
            found = scene.shape(replace(samples, warped=warped, code=code))
            return replace(found, alphas=found.alphas.where(warped.is_valid, 0))

        def radiance(seen: FieldShape) -> Float[Tensor, "s 3"]:
            colors = scene.radiance(seen)
            return colors if self.light is None else colors * self._gain(self.light, seen, body)

        @torch.no_grad()
        def distance(points: Float[Tensor, "s 3"]) -> Float[Tensor, " s"]:
            warped = posed.warp(points)
            return scene.distance(warped.points).where(warped.is_valid, self.config.reach_m)

        grid = self._grid(scene.grid, posed, body)
        return RadianceField(shape=shape, radiance=radiance, distance=distance, grid=grid, step_m=scene.step_m)

    def _gain(self, light: LightField, seen: FieldShape, body: Body) -> Float[Tensor, "s 3"]:
        points = seen.samples.points + light.shift(body.pose.root_position_world)
        return light(seen.normals, points, seen.samples.directions if light.config.sees_directions else None)

    def _reweighted(self, body: Body) -> Body:
        if self.weight_logits is None:
            return body
        return replace(body, bone_weights=(body.bone_weights.log() + self.weight_logits).softmax(1))

    def _grid(self, canonical: OccupancyGrid, posed: "PosedSpace", body: Body) -> OccupancyGrid:
        """The posed band; of captured frames kept for as long as the canonical grid and, nearly, the pose stay."""
        if self._canonical_grid is not canonical:
            self._grids.clear()
            self._canonical_grid = canonical
        transforms = body.posed_from_rest.detach()
        for known, grid in self._grids.values():
            if float((known - transforms).abs().max()) < _SAME_POSE:
                return grid
        grid = posed.grid(canonical)
        if body.pose.frame_id is not None:
            self._grids.pop(next(iter(self._grids)) if len(self._grids) == _MOST_GRIDS else body.pose.frame_id, None)
            self._grids[body.pose.frame_id] = (transforms, grid)
        return grid

    def _new_tree(self) -> MeshTree:
        return MeshTree(self.canonical_body.rest.faces, self.canonical_body.vertices_world.detach())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FieldDeformer":
        super()._apply(fn, recurse)
        self.canonical_body = map_tensors(self.canonical_body, fn)
        self._tree = self._new_tree()
        self._grids.clear()
        return self


class PosedSpace:
    """The space around one posed body, and its way back to the canonical frame.

    It reckons from the body's root joint on, so that single precision does wherever the body stands.
    """

    def __init__(self, tree: MeshTree, canonical: Body, body: Body, config: FieldDeformConfig) -> None:
        self._tree, self._config = tree, config
        self._origin = body.joints_world[0].detach()
        transforms = body.posed_from_rest
        near = rigid_from_parts(transforms[:, :3, :3], transforms[:, :3, 3] - self._origin)
        body = replace(body, posed_from_rest=near)
        self._vertices = body.vertices_world.detach()
        self._table = config.warp.table(canonical, body)

    def warp(self, points_world: Float[Tensor, "s 3"]) -> Warped:
        """Places in the world taken back; valid within reach of the body."""
        return self._warp(points_world - self._origin)

    def grid(self, canonical: OccupancyGrid) -> OccupancyGrid:
        """Cells of the world where a field may hold something that holds nothing outside the canonical grid."""
        self._settle()
        band = band_grid(self._tree, self._config.cell_m, self._config.reach_m)
        band = tightened(band, canonical, lambda points: self._warp(points).points)
        return band._replace(box=band.box + self._origin)

    def _warp(self, points: Float[Tensor, "s 3"]) -> Warped:
        self._settle()
        with torch.no_grad():
            found = closest_points(points, self._tree)
        warped = self._config.warp.warped(self._table, self._tree.faces, points, found)
        is_near = found.distances.abs() <= self._config.reach_m
        return replace(warped, is_valid=warped.is_valid & is_near)

    def _settle(self) -> None:
        """The tree, which other poses use too, around this one."""
        if self._tree.vertices is not self._vertices:
            self._tree.update(self._vertices)
