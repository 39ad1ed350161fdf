"""Straight walks over a triangle mesh: each next triangle is unfolded into the plane of the one before."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from .barycentric import triangle_areas, triangle_frames
from .topology import face_neighbours

_SMALLEST_AREA = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceWalk:
    """Where walks ended.

    Attributes:
        triangles, barycentrics: the points reached; rows are in [0, 1] and sum to one.
        turns: rotations that carry tangent vectors along the walk, from the first triangle's plane to the last one's.
        remaining: what was not walked, in the last triangle's plane; zero unless a border or the limit stopped it.
    """

    triangles: Int[Tensor, " n"]
    barycentrics: Float[Tensor, "n 3"]
    turns: Float[Tensor, "n 3 3"]
    remaining: Float[Tensor, "n 3"]


class WalkableSurface:
    """A mesh, with what walking on it needs; triangles without area are no part of it.

    Faces are oriented alike. Shao et al. 2024 (SplattingAvatar) walk in barycentrics; here the direction is a vector
    that turns with the planes, so that the way is straight and keeps its length.
    """

    def __init__(self, vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"]) -> None:
        has_area = triangle_areas(vertices, faces) > _SMALLEST_AREA
        neighbours = face_neighbours(faces)
        self.faces, self._corners = faces, vertices[faces]
        self._neighbours = torch.where(has_area[neighbours], neighbours, -1)
        self._normals = triangle_frames(vertices, faces)[..., 2]
        self._gradients = _barycentric_gradients(self._corners, self._normals) * has_area[:, None, None]

    @torch.no_grad()
    def walk(
        self,
        triangles: Int[Tensor, " n"],
        barycentrics: Float[Tensor, "n 3"],
        steps: Float[Tensor, "n 3"],
        max_hops: int = 16,
    ) -> SurfaceWalk:
        """Go straight from points on the surface by ``steps``, vectors in the mesh's unit.

        Only the part of a step in its triangle's plane counts. A walk stops at a border, and after ``max_hops`` edges.
        """
        normals = self._normals[triangles]
        remaining = steps - (steps * normals).sum(-1, keepdim=True) * normals
        turns = torch.eye(3, dtype=steps.dtype, device=steps.device).repeat(len(steps), 1, 1)
        triangles, barycentrics = triangles.clone(), barycentrics.clone()
        rows, entered = torch.arange(len(steps), device=steps.device), torch.full_like(triangles, -1)
        for hop in range(max_hops + 1):
            sides, used, points = self._to_the_edge(triangles[rows], barycentrics[rows], remaining[rows], entered)
            barycentrics[rows] = points
            remaining[rows] *= 1 - used[:, None]
            following = self._neighbours[triangles[rows], (sides + 1) % 3]
            is_crossing = (used < 1) & (following >= 0)
            rows, sides, following = rows[is_crossing], sides[is_crossing], following[is_crossing]
            if hop == max_hops or not len(rows):
                break
            turn, barycentrics[rows], entered = self._cross(triangles[rows], sides, following, barycentrics[rows])
            remaining[rows] = (turn @ remaining[rows, :, None])[..., 0]
            turns[rows] = turn @ turns[rows]
            triangles[rows] = following
        return SurfaceWalk(triangles=triangles, barycentrics=barycentrics, turns=turns, remaining=remaining)

    def _to_the_edge(
        self, triangles: Tensor, barycentrics: Tensor, steps: Tensor, entered: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Corner opposite the edge where each leaves, share of the step used till then (1: it stays), and the point.

        A straight way never leaves through the edge that it came by, which is opposite corner ``entered``.
        """
        change = (self._gradients[triangles] @ steps[..., None])[..., 0]
        is_ahead = (change < 0) & (torch.arange(3, device=steps.device) != entered[:, None])
        share, sides = torch.where(is_ahead, barycentrics / -change, torch.inf).min(1)
        share = share.clamp(0, 1)
        points = (barycentrics + share[:, None] * change).clamp(min=0)
        points = torch.where((share < 1)[:, None] & _is_corner(sides), 0, points)
        return sides, share, points / points.sum(1, keepdim=True)

    def _cross(
        self, here: Tensor, sides: Tensor, following: Tensor, barycentrics: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The turn about the shared edge, barycentrics in ``following``, and its corner opposite that edge."""
        is_same = (self.faces[following][:, :, None] == self.faces[here][:, None, :]) & ~_is_corner(sides)[:, None, :]
        entered = is_same.any(2).int().argmin(1)
        rows = torch.arange(len(here), device=here.device)
        corners = self._corners[here]
        along = normalize(corners[rows, (sides + 2) % 3] - corners[rows, (sides + 1) % 3], dim=-1)
        before, after = (_edge_frames(along, self._normals[side]) for side in (here, following))
        points = (is_same.to(barycentrics) @ barycentrics[..., None])[..., 0]
        return after @ before.mT, points, entered


def _barycentric_gradients(corners: Float[Tensor, "t 3 3"], normals: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3 3"]:
    """Rows: how each barycentric coordinate rises over the triangle; finite for triangles without area."""
    opposite = corners.roll(-2, 1) - corners.roll(-1, 1)
    across = torch.linalg.cross(normals[:, None].expand_as(opposite), opposite)
    heights = (across * (corners - corners.roll(-1, 1))).sum(-1, keepdim=True)
    return across / heights.clamp(min=_SMALLEST_AREA)


def _edge_frames(along: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    return torch.stack([along, torch.linalg.cross(normals, along), normals], 2)


def _is_corner(index: Int[Tensor, " n"]) -> Tensor:
    return torch.arange(3, device=index.device) == index[:, None]
