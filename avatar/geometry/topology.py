"""What a mesh's triangles say about its vertices: edges, normals, Laplacians; and well-spread subsets of points."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from .barycentric import triangle_normals


def edges(faces: Int[Tensor, "t 3"]) -> Int[Tensor, "e 2"]:
    """Every edge once, the smaller vertex first, rows in ascending order."""
    keys, width = _side_keys(faces)
    keys = torch.unique(keys)
    return torch.stack([keys // width, keys % width], dim=1)


def side_edges(faces: Int[Tensor, "t 3"]) -> Int[Tensor, "t 3"]:
    """Which row of ``edges(faces)`` each side of a triangle is, from corner to next corner."""
    return torch.unique(_side_keys(faces)[0], return_inverse=True)[1]


def _side_keys(faces: Int[Tensor, "t 3"]) -> tuple[Int[Tensor, "t 3"], Int[Tensor, ""]]:
    """One number a side, ascending like ``edges``, which is much faster to sort than rows; and its base."""
    sides = _sides(faces)
    width = sides.max() + 1
    return sides[..., 0] * width + sides[..., 1], width


def _sides(faces: Int[Tensor, "t 3"]) -> Int[Tensor, "t 3 2"]:
    """Vertices of the sides, from corner to next corner, the smaller first."""
    return torch.stack([faces, faces.roll(-1, 1)], 2).long().sort(2).values


def face_neighbours(faces: Int[Tensor, "t 3"]) -> Int[Tensor, "t 3"]:
    """The triangle on the other side of each edge, from corner to next corner; -1 at a border.

    Where more than two triangles meet at an edge each gets one of the others.
    """
    sides = _sides(faces).flatten(0, 1)
    keys, order = (sides[:, 0] * (int(faces.max()) + 1 if len(faces) else 1) + sides[:, 1]).sort(stable=True)
    is_pair = keys[1:] == keys[:-1]
    owners, neighbours = order // 3, torch.full_like(order, -1)
    neighbours[order[1:][is_pair]] = owners[:-1][is_pair]
    neighbours[order[:-1][is_pair]] = owners[1:][is_pair]
    return neighbours.view(-1, 3)


def vertex_normals(vertices: Float[Tensor, "*b v 3"], faces: Int[Tensor, "t 3"]) -> Float[Tensor, "*b v 3"]:
    """Unit normals, triangles weighted by area; zero for a vertex without area around it."""
    of_corners = triangle_normals(vertices, faces).repeat_interleave(3, dim=-2)
    return normalize(torch.zeros_like(vertices).index_add(-2, faces.flatten(), of_corners), dim=-1)


def uniform_laplacian(values: Float[Tensor, "*b v d"], edges: Int[Tensor, "e 2"]) -> Float[Tensor, "*b v d"]:
    """Mean over each vertex's neighbours minus its own value; zero for a vertex without neighbours."""
    start, end = edges.unbind(1)
    difference = values.index_select(-2, end) - values.index_select(-2, start)
    sums = torch.zeros_like(values).index_add(-2, start, difference).index_add(-2, end, -difference)
    return sums / torch.bincount(edges.flatten(), minlength=values.shape[-2]).clamp_min(1)[:, None]


def interior_edges(faces: Int[Tensor, "t 3"]) -> tuple[Int[Tensor, "e 2"], Int[Tensor, "e 2"]]:
    """Every edge between two triangles once: its vertices, the smaller first, and the triangles."""
    sides = _sides(faces).flatten(0, 1)
    others = face_neighbours(faces).flatten()
    owners = torch.arange(len(others), device=faces.device) // 3
    is_first = owners < others
    return sides[is_first], torch.stack([owners, others], 1)[is_first]


def cotangent_weights(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"]
) -> tuple[Int[Tensor, "e 2"], Float[Tensor, " e"]]:
    """``edges(faces)``, and for each ``(cot a + cot b) / 2`` of the angles opposite it: negative over obtuse ones."""
    ends, rows = edges(faces), side_edges(faces)
    weights = torch.zeros_like(vertices[:1, 0]).expand(len(ends))
    for corner in range(3):
        apex, start, end = (faces[:, (corner + turn) % 3].long() for turn in range(3))
        left, right = vertices[start] - vertices[apex], vertices[end] - vertices[apex]
        doubled_areas = torch.linalg.vector_norm(torch.linalg.cross(left, right), dim=-1)
        halves = 0.5 * (left * right).sum(-1) / doubled_areas.clamp_min(1e-12)
        weights = weights.index_add(0, rows[:, (corner + 1) % 3], halves)
    return ends, weights


def cotangent_laplacian(
    values: Float[Tensor, "*b v d"], vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"]
) -> Float[Tensor, "*b v d"]:
    """``sum_j (cot a_ij + cot b_ij) / 2 (value_j - value_i)``, ``a`` and ``b`` the angles opposite the edge.

    Integrated over the vertex's dual cell, not a mean over it (Meyer et al. 2003, equation 8): of the vertices
    themselves it is minus twice the mean curvature normal times the cell's area.
    """
    ends, weights = cotangent_weights(vertices, faces)
    start, end = ends.unbind(1)
    flow = weights[:, None] * (values.index_select(-2, end) - values.index_select(-2, start))
    return torch.zeros_like(values).index_add(-2, start, flow).index_add(-2, end, -flow)


def farthest_point_sampling(points: Float[Tensor, "n 3"], count: int) -> Int[Tensor, " {count}"]:
    """``count`` indices, each the point farthest from those before; the first is the farthest from the mean.

    Deterministic (Gonzalez 1985). Raises ValueError if there are fewer points than asked for.
    """
    if not 0 < count <= len(points):
        raise ValueError(f"count: expected 1 to {len(points)} (the number of points), got {count}")
    points = points.detach()
    chosen = [(points - points.mean(0)).square().sum(-1).argmax()]
    distances = torch.full_like(points[:, 0], torch.inf)
    for _ in range(count - 1):
        distances = torch.minimum(distances, (points - points[chosen[-1]]).square().sum(-1))
        chosen.append(distances.argmax())
    return torch.stack(chosen)
