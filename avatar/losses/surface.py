"""Terms that keep a learnt surface smooth: none depends on the unit of length, nor on the frame.

Each is made once for a template and costs a product or two with a sparse matrix a step.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.engine import SparseMap
from avatar.geometry import cotangent_weights, edges, face_neighbours, interior_edges, triangle_areas
from avatar.structs import Mesh

_SHORTEST_EDGE_M = 1e-3
_SMALLEST_AREA_M2 = _SHORTEST_EDGE_M**2
_SMALLEST_CROSS = 1e-20  # square of twice a triangle's area under which it has no normal


@dataclass(frozen=True, kw_only=True)
class SurfaceConfig:
    """Weights of the terms.

    Attributes:
        stretch: of the displacement: ``Stretch``.
        umbrella: of the displacement: ``Umbrella``.
        thin_plate: of the displacement: ``ThinPlate``.
        creases: of the displaced template: ``Creases``.
    """

    stretch: float = 3.0
    umbrella: float = 0.0
    thin_plate: float = 0.0
    creases: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"SurfaceConfig.{name}: expected zero or more, got {value}")


class SurfaceTerms:
    """Those terms that have a weight, summed."""

    def __init__(self, template: Mesh, config: SurfaceConfig) -> None:
        self._vertices = template.vertices
        of_displacement = ((config.stretch, Stretch), (config.umbrella, Umbrella), (config.thin_plate, ThinPlate))
        self._terms = [(weight, term(template)) for weight, term in of_displacement if weight]
        self._creases = (config.creases, Creases(template)) if config.creases else None

    def __call__(self, displacement: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The weighted sum for the template moved by ``displacement``, metres."""
        total = displacement.new_zeros(())
        for weight, term in self._terms:
            total = total + weight * term(displacement)
        if self._creases is not None:
            weight, creases = self._creases
            total = total + weight * creases(self._vertices + displacement)
        return total


class Stretch:
    """Mean squared change of a displacement along a mesh's edges, relative to their lengths (membrane energy).

    ``mean_e |d_j - d_i|^2 / (3 l_e^2)``.
    """

    def __init__(self, template: Mesh) -> None:
        ends = edges(template.faces)
        inverse = 1 / _lengths(template, ends)
        self._changes = SparseMap(ends, torch.stack([-inverse, inverse], 1), len(template.vertices))

    def __call__(self, displacement: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The energy; zero for a rigid shift."""
        return self._changes(displacement).square().mean()


class Umbrella:
    """Mean squared uniform Laplacian of a displacement, relative to the edges around (Taubin 1995).

    ``mean_i |mean_j d_j - d_i|^2 / (3 l_i^2)`` over the neighbours ``j`` of ``i``, ``l_i`` the mean length of its
    edges. Blind to the shape of triangles; on a mesh twice as fine it is a quarter for the same smooth displacement.
    """

    def __init__(self, template: Mesh) -> None:
        ends, num_vertices = edges(template.faces), len(template.vertices)
        lengths = _lengths(template, ends)
        sums = lengths.new_zeros(num_vertices).index_add(0, ends.flatten(), lengths.repeat_interleave(2))
        self._laplacian = _laplacian(ends, torch.ones_like(lengths), 1 / sums.clamp(min=_SHORTEST_EDGE_M))

    def __call__(self, displacement: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The energy; zero for a rigid shift."""
        return self._laplacian(displacement).square().mean()


class ThinPlate:
    """The bending energy of a displacement over the surface, ``integral |Laplace d|^2 dA`` (Desbrun et al. 1999).

    ``sum_i |sum_j w_ij (d_j - d_i)|^2 / A_i``, ``w_ij`` half the sum of the cotangents opposite the edge, none below
    zero, ``A_i`` a third of the triangles around; vertices at a border are left out. The same on a finer mesh, up to
    its discretisation; of the order of thousands for a body (its own shape as a displacement: 5000).
    """

    def __init__(self, template: Mesh) -> None:
        ends, weights = cotangent_weights(template.vertices, template.faces)
        thirds = (triangle_areas(template.vertices, template.faces) / 3).repeat_interleave(3)
        areas = torch.zeros_like(template.vertices[:, 0]).index_add(0, template.faces.flatten(), thirds)
        is_border = face_neighbours(template.faces) < 0
        at_border = torch.stack([template.faces, template.faces.roll(-1, 1)], 2)[is_border].flatten()
        scales = areas.clamp(min=_SMALLEST_AREA_M2).rsqrt().index_fill(0, at_border.long(), 0.0)
        self._laplacian = _laplacian(ends, weights.clamp(min=0), scales)

    def __call__(self, displacement: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The energy; zero for a rigid shift, and for a flat sheet that is sheared or stretched evenly."""
        return self._laplacian(displacement).square().sum()


class Creases:
    """Consistency of normals across edges, as the energy of a bent shell (Grinspun et al. 2003, equation 4).

    ``sum_e 3 l_e^2 / A_e (1 - cos theta_e)`` over edges with two triangles: ``theta_e`` between their normals, ``l_e``
    and ``A_e`` length of the edge and area of both in the template. The weight makes a finer mesh of a smooth surface
    cost the same.
    """

    def __init__(self, template: Mesh) -> None:
        vertices, faces = template.vertices, template.faces
        one = torch.ones_like(faces[:, 0]).to(vertices)
        self._sides = [
            SparseMap(faces[:, [0, corner]], torch.stack([-one, one], 1), len(vertices)) for corner in (1, 2)
        ]
        ends, pairs = interior_edges(faces)
        areas = triangle_areas(vertices, faces)[pairs].sum(1).clamp(min=_SMALLEST_AREA_M2)
        root = (1.5 * _lengths(template, ends).square() / areas).sqrt()  # 1 - cos is half of |n - m|^2
        self._turns = SparseMap(pairs, torch.stack([-root, root], 1), len(faces))

    def __call__(self, vertices: Float[Tensor, "v 3"]) -> Float[Tensor, ""]:
        """The energy of the surface; zero if it is flat, whatever its shape."""
        across = torch.linalg.cross(*(side(vertices) for side in self._sides))
        normals = across * across.square().sum(1, keepdim=True).clamp(min=_SMALLEST_CROSS).rsqrt()
        return self._turns(normals).square().sum()


def _lengths(template: Mesh, ends: Int[Tensor, "e 2"]) -> Float[Tensor, " e"]:
    """Lengths of edges, none below a millimetre."""
    start, end = template.vertices[ends].unbind(1)
    return torch.linalg.vector_norm(end - start, dim=-1).clamp(min=_SHORTEST_EDGE_M)


def _laplacian(ends: Int[Tensor, "e 2"], weights: Float[Tensor, " e"], scales: Float[Tensor, " v"]) -> SparseMap:
    """``scale_i sum_j w_ij (value_j - value_i)`` as a map of the vertices' values."""
    num_vertices = len(scales)
    starts, neighbours, weights = torch.cat([ends[:, 0], ends[:, 1]]), ends.flip(1).T.flatten(), weights.repeat(2)
    order = starts.argsort(stable=True)
    starts, neighbours, weights = starts[order], neighbours[order], weights[order]
    counts = torch.bincount(starts, minlength=num_vertices)
    places = torch.arange(len(starts), device=starts.device) - (counts.cumsum(0) - counts)[starts]
    own = torch.arange(num_vertices, device=starts.device)[:, None]
    ids = own.repeat(1, int(counts.max()) + 1)
    table = scales.new_zeros(ids.shape)
    ids[starts, places + 1] = neighbours
    table[starts, places + 1] = weights
    table[:, 0] = -table.sum(1)
    return SparseMap(ids, scales[:, None] * table, num_vertices)
