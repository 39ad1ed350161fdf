"""Canonical radiance field and body to the field in the world."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from avatar.engine import MeshTree, OccupancyGrid
from avatar.structs import Body, FieldShape, RadianceField, RaySamples, map_tensors

from .band import occupied_nearby
from .codes import FieldCodes
from .light_field import LightField
from .posed_space import PosedBand, PosedSpace
from .warp import VertexBlend, Warp

_MOST_BANDS = 256  # of about a megabyte each
_SAME_POSE = 2e-3  # by how much the joints' transforms may differ, metres and radians, for a band to serve again


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
        self._bands: dict[int, tuple[Tensor, PosedBand]] = {}
        self._canonical: tuple[OccupancyGrid, Bool[Tensor, " n"]] | None = None

    def forward(self, scene: RadianceField, body: Body) -> RadianceField:
        """The field in the world, in the pose of ``body``, whose shape may be another than the canonical one's."""
        bodies = self._reweighted(self.canonical_body), self._reweighted(body)
        posed, reach_m = PosedSpace(self._tree, self.config.warp, *bodies), self.config.reach_m
        code = None if self.code is None else self.code(body.pose)

        def shape(samples: RaySamples) -> FieldShape:
            warped = posed.warp(samples.points, reach_m)
            found = scene.shape(replace(samples, warped=warped, code=code))
            return replace(found, alphas=found.alphas.where(warped.is_valid, 0))

        def radiance(seen: FieldShape) -> Float[Tensor, "s 3"]:
            colors = scene.radiance(seen)
            return colors if self.light is None else colors * self._gain(self.light, seen, body)

        @torch.no_grad()
        def distance(points: Float[Tensor, "s 3"]) -> Float[Tensor, " s"]:
            warped = posed.warp(points, reach_m)
            told = () if code is None else (code,)
            return scene.distance(warped.points, *told).where(warped.is_valid, reach_m)

        grid = self._grid(scene.grid, posed, body)
        return RadianceField(shape=shape, radiance=radiance, distance=distance, grid=grid, step_m=scene.step_m)

    def cost(self) -> Float[Tensor, ""] | float:
        """What the deformation itself costs, in the units of the loss: a light that is too bright or too dark."""
        return self.light.cost() if self.light is not None else 0.0

    def _gain(self, light: LightField, seen: FieldShape, body: Body) -> Float[Tensor, "s 3"]:
        points = seen.samples.points + light.shift(body.pose.root_position_world)
        return light(seen.normals, points, seen.samples.directions if light.config.sees_directions else None)

    def _reweighted(self, body: Body) -> Body:
        if self.weight_logits is None:
            return body
        return replace(body, bone_weights=(body.bone_weights.log() + self.weight_logits).softmax(1))

    def _grid(self, canonical: OccupancyGrid, posed: PosedSpace, body: Body) -> OccupancyGrid:
        """Cells of the world where the field may hold something, if it holds nothing outside the canonical grid."""
        known = self._canonical
        if known is None or known[0] is not canonical:
            if known is None or not _have_same_cells(known[0], canonical):
                self._bands.clear()
            known = self._canonical = (canonical, occupied_nearby(canonical))
        return self._band(canonical, posed, body).grid(known[1])

    def _band(self, canonical: OccupancyGrid, posed: PosedSpace, body: Body) -> PosedBand:
        """The cells near the body; kept for captured frames, which come again, unless weights are learnt."""
        frame_id, transforms = body.pose.frame_id, body.posed_from_rest.detach()
        known = self._bands.pop(frame_id, None) if frame_id is not None else None
        is_same = known is not None and float((known[0] - transforms).abs().max()) < _SAME_POSE
        if known is None or not is_same:
            known = (transforms, posed.band(canonical, self.config.cell_m, self.config.reach_m))
        if frame_id is not None and self.weight_logits is None:
            if len(self._bands) == _MOST_BANDS:
                self._bands.pop(next(iter(self._bands)))
            self._bands[frame_id] = known
        return known[1]

    def _new_tree(self) -> MeshTree:
        return MeshTree(self.canonical_body.rest.faces, self.canonical_body.vertices_world.detach())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FieldDeformer":
        super()._apply(fn, recurse)
        self.canonical_body = map_tensors(self.canonical_body, fn)
        self._tree = self._new_tree()
        self._bands.clear()
        self._canonical = None
        return self


def _have_same_cells(one: OccupancyGrid, other: OccupancyGrid) -> bool:
    return one.occupied.shape == other.occupied.shape and torch.equal(one.box, other.box)
