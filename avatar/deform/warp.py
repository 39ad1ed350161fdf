"""Places around a posed body to the canonical frame, through the closest point of the body's surface.

With ``p`` the closest point and ``p*`` the same place on the canonical surface, ``x* = p* + A (x - p)``: each surface
goes exactly onto the other, and kinds of warps differ in what ``A`` is beside it. Nothing here depends on how far from
the origin a body stands.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import ClosestPoints
from avatar.geometry import blend_transforms, invert_linear, sum_weighted_rows
from avatar.structs import Body, Warped


@dataclass(frozen=True, kw_only=True)
class VertexBlend:
    """``A`` is the mean over the corners of ``M* M^-1``, ``M`` what skinning does to a vertex, ``M*`` canonically.

    Blends the inverse vertex transforms of MetaCap (Sun et al. 2024) but for one thing: there, their shifts are blended
    too, which inside a bent triangle misses the other surface. Continuous where the closest triangle changes.

    Attributes:
        learned_weights: the skinning weights of both bodies are learnt, from their own on.
    """

    learned_weights: bool = False

    def table(self, canonical: Body, posed: Body) -> Float[Tensor, "v 15"]:
        """Of every vertex ``A`` row by row, then its canonical and its posed place, metres."""
        to_rest, to_canonical = (
            blend_transforms(body.bone_ids, body.bone_weights, body.posed_from_rest)[..., :3]
            for body in (posed, canonical)
        )
        linear = to_canonical @ invert_linear(to_rest)
        return torch.cat([linear.flatten(1), canonical.vertices_world, posed.vertices_world], 1)

    def warped(
        self, table: Float[Tensor, "v 15"], faces: Int[Tensor, "t 3"], points: Float[Tensor, "s 3"], near: ClosestPoints
    ) -> Warped:
        """Points around the posed body, and their closest ones on it, taken back; valid where there is one."""
        rows = sum_weighted_rows(table, faces[near.face_ids.clamp_min(0)], near.barycentrics)
        return _warped(rows, points, near.face_ids >= 0)


@dataclass(frozen=True, kw_only=True)
class TriangleAffine:
    """``A`` takes edges and unit normal of the closest triangle to those of the canonical one.

    So a place keeps its coordinates in the triangle's plane and its height (Dual-Space NeRF, Zhi et al. 2022, section
    3.1, there with the triangle whose centre is closest). Jumps where the closest triangle changes.

    Attributes:
        reach: coordinates along the triangle's edges between which it holds; the triangle itself has 0 to 1.
        max_height_m: above or below the triangle.
    """

    reach: tuple[float, float] = (-4.0, 5.0)
    max_height_m: float = 0.1

    def __post_init__(self) -> None:
        if not self.reach[0] <= 0 < 1 <= self.reach[1]:
            raise ValueError(f"TriangleAffine.reach: expected to hold 0 to 1, got {self.reach}")
        if not self.max_height_m > 0:
            raise ValueError(f"TriangleAffine.max_height_m: expected a positive number, got {self.max_height_m}")

    def table(self, canonical: Body, posed: Body) -> Float[Tensor, "t 24"]:
        """Of every triangle ``A``, its first corner's canonical and posed place, and what gives its coordinates."""
        frames, to_coordinates = _frames(canonical), invert_linear(_frames(posed))
        firsts = [body.vertices_world[body.rest.faces[:, 0]] for body in (canonical, posed)]
        return torch.cat([(frames @ to_coordinates).flatten(1), *firsts, to_coordinates.flatten(1)], 1)

    def warped(
        self, table: Float[Tensor, "t 24"], faces: Int[Tensor, "t 3"], points: Float[Tensor, "s 3"], near: ClosestPoints
    ) -> Warped:
        """Points around the posed body taken back; valid where the triangles of their closest points reach."""
        del faces
        rows = table[near.face_ids.clamp_min(0)]
        with torch.no_grad():
            along, height = _product(rows[:, 15:], points - rows[:, 12:15]).split([2, 1], 1)
            is_near = ((along >= self.reach[0]) & (along <= self.reach[1])).all(1)
            is_valid = is_near & (height[:, 0].abs() <= self.max_height_m) & (near.face_ids >= 0)
        return _warped(rows[:, :15], points, is_valid)


Warp = VertexBlend | TriangleAffine
"""Kinds of warps: one makes a ``table`` for a body, and takes points there by it."""


def _warped(rows: Float[Tensor, "s 15"], points: Float[Tensor, "s 3"], is_valid: Bool[Tensor, " s"]) -> Warped:
    linear, canonical, posed = rows.split([9, 3, 3], 1)
    return Warped(
        points=canonical + _product(linear, points - posed), linear=linear.unflatten(1, (3, 3)), is_valid=is_valid
    )


def _product(linear: Float[Tensor, "s 9"], vectors: Float[Tensor, "s 3"]) -> Float[Tensor, "s 3"]:
    return (linear.unflatten(1, (3, 3)) @ vectors[..., None]).squeeze(-1)


def _frames(body: Body) -> Float[Tensor, "t 3 3"]:
    """Two edges and the unit normal of every triangle as columns."""
    first, second, third = body.vertices_world[body.rest.faces].unbind(1)
    normals = normalize(torch.linalg.cross(second - first, third - first), dim=-1)
    return torch.stack([second - first, third - first, normals], -1)
