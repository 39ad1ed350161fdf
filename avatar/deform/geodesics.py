"""Neighbours along a surface, not through the air: a hand that rests on a thigh is far from it."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from avatar.geometry import edges, face_neighbours

_SMALLEST_M = 1e-9


def geodesic_distances(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], sources: Int[Tensor, " s"]
) -> Float[Tensor, "s v"]:
    """Length of the shortest way from each source vertex to every vertex, infinite where there is none.

    Ways lead along edges and straight across pairs of triangles (Lanthier et al. 2001), which leaves them a few percent
    too long. On the CPU, in double precision.
    """
    ends = torch.cat([edges(faces), _across(faces)])
    start, end = vertices.detach()[ends].double().unbind(1)
    lengths = torch.linalg.vector_norm(end - start, dim=-1).clamp(min=_SMALLEST_M)
    rows, columns = ends.T.cpu().numpy()
    graph = coo_array((lengths.cpu().numpy(), (rows, columns)), shape=(len(vertices), len(vertices))).tocsr()
    found = dijkstra(graph, directed=False, indices=sources.cpu().numpy())
    return torch.from_numpy(np.atleast_2d(found)).to(vertices)


def _across(faces: Int[Tensor, "t 3"]) -> Int[Tensor, "e 2"]:
    """The corners opposite the edge that two triangles share, each pair once.

    Straight lines between them, as the crow flies, are a little short across a sharp edge.
    """
    neighbours = face_neighbours(faces)
    triangle, side = (neighbours > torch.arange(len(faces), device=faces.device)[:, None]).nonzero(as_tuple=True)
    other = neighbours[triangle, side]
    own_apex = faces[triangle, (side + 2) % 3]
    shared = torch.stack([faces[triangle, side], faces[triangle, (side + 1) % 3]], 1)
    is_apex = (faces[other][:, :, None] != shared[:, None]).all(-1)
    other_apex = faces[other].where(is_apex, -1).amax(1)
    return torch.stack([own_apex, other_apex], 1)[other_apex >= 0]


def falloff_weights(
    distances: Float[Tensor, "n v"], count: int
) -> tuple[Int[Tensor, "v {count}"], Float[Tensor, "v {count}"]]:
    """The ``count`` nearest nodes of every vertex, and weights that sum to one and end where the next node begins.

    ``w_i = max(0, 1 - d_i / d_(count + 1))^2`` before they are normalised (Sumner et al. 2007, equation 4, squared):
    order and fall-off go by one distance, so weights never rise with it. A vertex with no way to so many nodes shares
    those it reaches. ValueError for fewer nodes than ``count + 1``.
    """
    if len(distances) <= count:
        raise ValueError(f"falloff_weights: expected more than {count} nodes, got {len(distances)}")
    nearest = distances.topk(count + 1, dim=0, largest=False)
    reached = nearest.values.isfinite()
    farthest = nearest.values.where(reached, 0.0).amax(0)
    limit = nearest.values[-1].where(reached[-1], 2 * farthest).clamp(min=_SMALLEST_M)
    weights = (1 - nearest.values[:-1] / limit).clamp(min=0).square().where(reached[:-1], 0.0)
    weights[0] = weights[0].where(weights.sum(0) > 0, 1.0)
    return nearest.indices[:-1].T.contiguous(), (weights / weights.sum(0)).T.contiguous()
