"""Finer triangles where a mesh has stretched."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .topology import edges, side_edges

# The triangles that take a triangle's place, by which of its edges are split: edges 0 to 2 run from corner to next
# corner; 0 to 2 are its corners, 3 to 5 the middles of its edges.
_PIECES = {
    (True, False, False): ((0, 3, 2), (3, 1, 2)),
    (True, True, False): ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    (True, True, True): ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}


def split_edges(
    faces: Int[Tensor, "t 3"], num_vertices: int, is_split: Bool[Tensor, " e"]
) -> tuple[Int[Tensor, "t2 3"], Int[Tensor, "v2 2"]]:
    """Split some of ``edges(faces)`` in their middles and, along them, the triangles: no gap opens, none turns over.

    Gives the new faces and, for every new vertex, the two old ones halfway between which it lies: twice itself for an
    old one, which all keep their places. ``values[ends].mean(1)`` takes anything given at the vertices along.
    """
    ends, of_sides = edges(faces), side_edges(faces)
    middles = (num_vertices - 1 + is_split.cumsum(0))[of_sides]
    split_sides = is_split[of_sides]
    pieces = [faces[~split_sides.any(1)].long()]
    for pattern, triangles in _PIECES.items():
        for turn in range(1 if all(pattern) else 3):
            order = [(corner + turn) % 3 for corner in range(3)]
            chosen = (split_sides[:, order] == torch.tensor(pattern, device=faces.device)).all(1)
            points = torch.cat([faces[chosen][:, order].long(), middles[chosen][:, order]], 1)
            pieces.append(points[:, torch.tensor(triangles, device=faces.device)].flatten(0, 1))
    own = torch.arange(num_vertices, device=faces.device)[:, None].expand(-1, 2)
    return torch.cat(pieces), torch.cat([own, ends[is_split]])


def split_long_edges(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], values: Float[Tensor, "v d"], longest: float
) -> tuple[Float[Tensor, "v2 3"], Int[Tensor, "t2 3"], Float[Tensor, "v2 d"]]:
    """Vertices, faces and values at the vertices with every edge longer than ``longest`` halved until none is.

    Raises ValueError for a ``longest`` that is not positive, and for vertices that are no numbers.
    """
    if not longest > 0:
        raise ValueError(f"longest: expected a positive length, got {longest}")
    if not bool(vertices.isfinite().all()):
        raise ValueError("vertices: expected finite numbers, got others")
    while True:
        start, end = vertices[edges(faces)].unbind(1)
        is_long = torch.linalg.vector_norm(end - start, dim=1) > longest
        if not bool(is_long.any()):
            return vertices, faces, values
        faces, parents = split_edges(faces, len(vertices), is_long)
        vertices, values = vertices[parents].mean(1), values[parents].mean(1)
