"""Terms that keep a pose-dependent correction near and even."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import SparseMap
from avatar.geometry import cotangent_weights
from avatar.structs import Mesh

_NEIGHBOURS = 6
_SHORTEST_M = 3e-3
_UNIT_M = 0.01  # offsets are counted in centimetres


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Weights of the terms for a single camera: pictures of ``c`` cameras count that much more against them.

    Attributes:
        strain: mean squared change of the offset from a control point to its six neighbours, over the distance; counts
            ``1 / c``.
        size: mean squared offset, square centimetres; counts ``1 / c^2``, for from two sides a place is measured.
        arap: of the control graph, as rigid as possible: ``Arap``; counts ``1 / c``.
    """

    strain: float = 0.8
    size: float = 0.02
    arap: float = 0.4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"MotionConfig.{name}: expected zero or more, got {value}")


class MotionTerms:
    """The weighted sum for offsets of control points spread over a surface, metres; zero for no offset."""

    def __init__(self, control_points: Float[Tensor, "m 3"], num_cameras: int, config: MotionConfig) -> None:
        self._strain, self._size = config.strain / num_cameras, config.size / num_cameras**2
        count = min(_NEIGHBOURS + 1, len(control_points))
        near = torch.cdist(control_points, control_points).topk(count, largest=False)
        inverse = (1 / near.values[:, 1:].clamp(min=_SHORTEST_M)).flatten()
        ids = torch.stack([near.indices[:, :1].expand(-1, count - 1), near.indices[:, 1:]], -1).flatten(0, 1)
        self._changes = SparseMap(ids, torch.stack([-inverse, inverse], 1), len(control_points))

    def __call__(self, offsets: Float[Tensor, "m 3"]) -> Float[Tensor, ""]:
        """Both terms, weighted."""
        size = (offsets / _UNIT_M).square().mean()
        return self._strain * self._changes(offsets).square().mean() + self._size * size


class Arap:
    """As-rigid-as-possible energy of a moved template (Sorkine and Alexa 2007, equation 3), relative to its edges.

    ``sum_ij w_ij |(v'_i - v'_j) - R_i (v_i - v_j)|^2 / sum_ij w_ij |v_i - v_j|^2`` over directed edges, ``w_ij`` half
    the sum of the cotangents opposite the edge, none below zero. The rotations are those the motion claims to make, not
    a fit to it, and pass no gradient (DreamMesh4D, Li et al. 2024, section 3.4).
    """

    def __init__(self, template: Mesh) -> None:
        vertices = template.vertices
        ends, weights = cotangent_weights(vertices, template.faces)
        both = torch.cat([ends, ends.flip(1)])
        self._starts = both[:, 0]
        self._edges = vertices[both[:, 0]] - vertices[both[:, 1]]
        weights = weights.clamp(min=0).repeat(2)
        total = (weights * self._edges.square().sum(1)).sum()
        self._root = (weights / total).sqrt()[:, None]
        one = torch.ones_like(weights)
        self._changes = SparseMap(both, torch.stack([one, -one], 1), len(vertices))

    def __call__(self, vertices: Float[Tensor, "v 3"], turns: Float[Tensor, "v 3 3"]) -> Float[Tensor, ""]:
        """The energy of the template moved to ``vertices``; zero for a rigid motion with its own rotation."""
        turned = (turns.detach()[self._starts] @ self._edges[..., None])[..., 0]
        return (self._root * (self._changes(vertices) - turned)).square().sum()
