"""Terms that keep a learnt surface smooth."""

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import SparseMap
from avatar.geometry import edges
from avatar.structs import Mesh

_SHORTEST_EDGE_M = 1e-3


class Stretch:
    """Mean squared change of a displacement along a mesh's edges, relative to their lengths (membrane energy)."""

    def __init__(self, template: Mesh) -> None:
        ends = edges(template.faces)
        start, end = template.vertices[ends].unbind(1)
        inverse = 1 / torch.linalg.vector_norm(end - start, dim=-1).clamp(min=_SHORTEST_EDGE_M)
        self._changes = SparseMap(ends, torch.stack([-inverse, inverse], 1), len(template.vertices))

    def __call__(self, displacement: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The energy; zero for a rigid shift."""
        return self._changes(displacement).square().mean()
