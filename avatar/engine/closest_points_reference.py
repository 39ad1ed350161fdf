"""The specification of ``closest_points``: every point against every triangle, in plain torch."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.geometry import interpolate, triangle_normals

from .mesh_tree import MeshTree

PAIRS = 2**22
"""Points times triangles at once."""
SHORTEST = 1e-30
"""Length under which a direction counts as undefined."""


class ClosestPoints(NamedTuple):
    """Where a mesh is closest to each point.

    Attributes:
        face_ids: the closest triangle, of equally close ones the first; -1 where there is none (no triangle is finite,
            the point is not, or the square of its distance overflows).
        barycentrics: of the closest point in it; exactly zero where the point is on an edge or vertex. Zeros for none.
        distances: negative inside; infinite for none.
        directions: the gradient of the distance: unit, away from the mesh outside and towards it inside; the
            pseudo-normal on the mesh itself. The closest point is ``points - distances * directions``. Zeros for none.
    """

    face_ids: Int[Tensor, " n"]
    barycentrics: Float[Tensor, "n 3"]
    distances: Float[Tensor, " n"]
    directions: Float[Tensor, "n 3"]


def closest_points_reference(points: Float[Tensor, "n 3"], tree: MeshTree) -> ClosestPoints:
    """``closest_points`` in plain torch, for any device; the tree gives faces and vertices only."""
    check_points(points, tree)
    if not len(tree.faces):
        return closest_points_from_faces(points, tree, torch.full_like(points[:, 0], -1, dtype=torch.int64))
    chunks = points.detach().split(max(1, PAIRS // len(tree.faces)))
    return closest_points_from_faces(points, tree, torch.cat([_closest_faces(chunk, tree) for chunk in chunks]))


def closest_points_from_faces(
    points: Float[Tensor, "n 3"], tree: MeshTree, face_ids: Int[Tensor, " n"]
) -> ClosestPoints:
    """What follows for every point from the triangle it is closest to, -1 for none."""
    is_found, known = face_ids >= 0, face_ids.clamp_min(0)
    if not bool(is_found.any()):
        zeros = torch.zeros_like(points)
        return ClosestPoints(face_ids, zeros, torch.full_like(points[:, 0], torch.inf), zeros)
    with torch.no_grad():
        corners = tree.faces[known]
        a, b, c = tree.vertices[corners].unbind(1)
        barycentrics = _weights(points - a, b - a, c - a).where(is_found[:, None], 0)
        pseudo_normals = _pseudo_normals(tree, known, barycentrics)
        offsets = (points - a) - barycentrics[:, 1:2] * (b - a) - barycentrics[:, 2:] * (c - a)
        signs = torch.where((offsets * pseudo_normals).sum(1, keepdim=True) < 0, -1.0, 1.0).to(points.dtype)
        is_on_mesh = (offsets == 0).all(1, keepdim=True)
        directions = normalize(offsets.where(~is_on_mesh, pseudo_normals) * signs, dim=1, eps=SHORTEST)
        directions = directions.where(is_found[:, None], 0)
    distances = ((points - interpolate(tree.vertices, corners, barycentrics)) * directions).sum(1)
    return ClosestPoints(face_ids, barycentrics, distances.where(is_found, torch.inf), directions)


@torch.no_grad()
def _closest_faces(points: Tensor, tree: MeshTree) -> Tensor:
    a, b, c = tree.vertices[tree.faces].unbind(1)
    from_a, e, f = points[:, None] - a, b - a, c - a
    weights = _weights(from_a, e, f)
    squared = (from_a - weights[..., 1:2] * e - weights[..., 2:3] * f).square().sum(2)
    squared = squared.where(squared.isfinite(), torch.inf)
    return squared.argmin(1).where(squared.isfinite().any(1), -1)


def _weights(v: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """Barycentrics of the points of triangles a, a + e, a + f that are closest to points at v from a.

    The foot of the perpendicular where that lies inside, else the best of the closest points of the three edges.
    """
    ve, vf, ee, ef, ff = ((x * y).sum(-1) for x, y in ((v, e), (v, f), (e, e), (e, f), (f, f)))
    area2 = torch.linalg.cross(e, f).square().sum(-1)
    s, t = ve * ff - vf * ef, vf * ee - ve * ef
    is_flat = area2 <= 32 * torch.finfo(v.dtype).eps * ee * ff
    is_inside = (s >= 0) & (t >= 0) & (s + t <= area2) & ~is_flat
    inside = torch.stack([(area2 - s - t).clamp_min(0), s, t], -1) / area2[..., None]

    def along(numerator: Tensor, denominator: Tensor) -> Tensor:
        return (numerator / denominator.where(denominator > 0, 1)).clamp(0, 1)

    on_e, on_f, on_g = along(ve, ee), along(vf, ff), along(ee - ef + vf - ve, ee - 2 * ef + ff)
    zero = torch.zeros_like(on_e)
    edges = torch.stack(
        [torch.stack(w, -1) for w in ((1 - on_e, on_e, zero), (1 - on_f, zero, on_f), (zero, 1 - on_g, on_g))]
    )
    lengths = (v - edges[..., 1:2] * e - edges[..., 2:3] * f).square().sum(-1)
    best = edges.gather(0, lengths.argmin(0)[None, ..., None].expand(1, *lengths.shape[1:], 3))[0]
    return torch.where(is_inside[..., None], inside, best)


def _pseudo_normals(tree: MeshTree, face_ids: Tensor, barycentrics: Tensor) -> Tensor:
    """Normals of the triangle, edge or vertex that holds each point: sums over triangles, at vertices by angle."""
    normals = normalize(triangle_normals(tree.vertices, tree.faces), dim=1, eps=SHORTEST).nan_to_num()
    corners = tree.vertices[tree.faces]
    sides = normalize(corners.roll(-1, 1) - corners, dim=2)
    angles = torch.arccos((sides * -sides.roll(1, 1)).sum(2).clamp(-1, 1)).nan_to_num()
    features = torch.cat([tree.faces, tree.edges], 1)
    terms = torch.cat([angles, torch.ones_like(angles)], 1)[..., None] * normals[:, None]
    sums = normals.new_zeros(tree.num_features, 3).index_add(0, features.flatten(), terms.flatten(0, 1))
    is_zero = barycentrics == 0
    edge = tree.edges[face_ids].gather(1, is_zero.int().argmax(1, keepdim=True).add(1).remainder(3))[:, 0]
    vertex = tree.faces[face_ids].gather(1, barycentrics.argmax(1, keepdim=True))[:, 0]
    zeros = is_zero.sum(1)[:, None]
    return torch.where(zeros == 0, normals[face_ids], torch.where(zeros == 1, sums[edge], sums[vertex]))


def check_points(points: Tensor, tree: MeshTree) -> None:
    """ValueError where points do not fit a tree."""
    if points.shape != (len(points), 3):
        raise ValueError(f"closest_points: points: expected (n, 3), got {tuple(points.shape)}")
    vertices = tree.vertices
    if (points.dtype, points.device) != (vertices.dtype, vertices.device):
        raise ValueError(
            f"closest_points: points: expected {vertices.dtype} on {vertices.device} like the tree's vertices, "
            f"got {points.dtype} on {points.device}"
        )
