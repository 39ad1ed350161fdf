"""Triangles: frames, areas, points on them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from .weighted_rows import sum_weighted_rows

_SHORTEST = 1e-12
"""Length, or doubled area, under which a direction counts as undefined."""


def triangle_frames(vertices: Float[Tensor, "*b v 3"], faces: Int[Tensor, "t 3"]) -> Float[Tensor, "*b t 3 3"]:
    """Rotations whose columns are the triangle's tangent (its first edge), bitangent and unit normal.

    Right-handed and orthonormal always: a triangle without area gets some normal across its first edge, one without a
    first edge the x axis as tangent.
    """
    first, second = _edge_vectors(vertices, faces)
    axis_x = torch.tensor([1.0, 0.0, 0.0], dtype=vertices.dtype, device=vertices.device)
    tangent = _unit_or(first, axis_x)
    across = torch.where(tangent[..., :1].abs() < 0.5, axis_x, axis_x.roll(1))
    normal = _unit_or(torch.linalg.cross(tangent, second), normalize(torch.linalg.cross(tangent, across), dim=-1))
    return torch.stack([tangent, torch.linalg.cross(normal, tangent), normal], dim=-1)


def triangle_normals(vertices: Float[Tensor, "*b v 3"], faces: Int[Tensor, "t 3"]) -> Float[Tensor, "*b t 3"]:
    """Normals as long as twice the triangle's area; outwards for faces counter-clockwise from outside."""
    first, second = _edge_vectors(vertices, faces)
    return torch.linalg.cross(first, second)


def triangle_areas(vertices: Float[Tensor, "*b v 3"], faces: Int[Tensor, "t 3"]) -> Float[Tensor, "*b t"]:
    """Areas, in the square of the vertices' unit."""
    return 0.5 * torch.linalg.vector_norm(triangle_normals(vertices, faces), dim=-1)


def interpolate(
    values: Float[Tensor, "*b v d"], faces_of_points: Int[Tensor, "n 3"], barycentrics: Float[Tensor, "*#b n 3"]
) -> Float[Tensor, "*b n d"]:
    """Values at points on triangles: ``faces_of_points`` holds the three corners of each point's triangle."""
    return sum_weighted_rows(values, faces_of_points, barycentrics)


def sample_surface(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], num_points: int, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, " n"], Float[Tensor, "n 3"]]:
    """``num_points`` points spread evenly over the surface: their triangles, ascending, and barycentrics.

    Stratified: each point comes from its own ``1 / num_points`` of the total area, so every triangle's count is within
    two of its fair share. Raises ValueError for a surface without area.
    """
    upper = triangle_areas(vertices.detach().double(), faces).cumsum(0)
    if not len(faces) or not 0 < float(upper[-1]) < float("inf"):
        raise ValueError(f"vertices, faces: expected a finite surface with area, got {len(faces)} triangles without")
    where = vertices.device if generator is None else generator.device
    draws = torch.rand(num_points, 3, generator=generator, dtype=torch.float64, device=where).to(vertices.device)
    strata = torch.arange(num_points, device=vertices.device)
    levels = (strata + draws[:, 0]) * (upper[-1] / num_points)
    triangles = torch.searchsorted(upper, levels, right=True).clamp_max(len(faces) - 1)
    root = draws[:, 1].sqrt()
    corners = torch.stack([1.0 - root, root * (1.0 - draws[:, 2]), root * draws[:, 2]], dim=-1)
    return triangles, corners.to(vertices.dtype)


def _edge_vectors(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """From the first corner of each triangle to the second, and to the third."""
    corners = vertices.index_select(-2, faces.flatten()).unflatten(-2, faces.shape)
    first, second, third = corners.unbind(-2)
    return second - first, third - first


def _unit_or(vectors: Tensor, fallback: Tensor) -> Tensor:
    """Vectors scaled to length one, or ``fallback`` (unit) where they have no direction."""
    lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return torch.where(lengths > _SHORTEST, vectors / lengths.clamp_min(_SHORTEST), fallback)
