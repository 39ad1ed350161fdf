"""3D Gaussians, optionally bound to the triangles of a mesh."""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from avatar.engine import SparseMap

from .mesh import Mesh


@dataclass(frozen=True, kw_only=True, eq=False)
class Binding:
    """Where on a template mesh each Gaussian is rooted.

    Attributes:
        template: the mesh in the canonical pose.
        triangles: the triangle of each Gaussian.
        barycentrics: the point on it; rows sum to one.
        normals: unit normal of the triangle in the canonical pose.
    """

    template: Mesh
    triangles: Int[Tensor, " n"]
    barycentrics: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]

    @cached_property
    def from_vertices(self) -> SparseMap:
        """Interpolates what is given at the template's vertices to the Gaussians."""
        return SparseMap(self.template.faces[self.triangles], self.barycentrics, len(self.template.vertices))


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaussians:
    """Anisotropic Gaussians with view-dependent colour.

    Attributes:
        means: centres, metres, in the canonical frame or the world as the holder names.
        quats: rotation of the principal axes, ``wxyz``, any positive length.
        scales: standard deviations along the axes, metres, positive.
        opacities: in [0, 1].
        sh: spherical-harmonic coefficients of sRGB, ``k`` 1, 4, 9 or 16; colour is ``max(0, basis @ sh + 0.5)``.
        binding: how they sit on a mesh, or None for free ones.
        linear: what a deformation has done to them, its gradient: with it the covariance is ``(L R S) (L R S)^T``.
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]
    binding: Binding | None = None
    linear: Float[Tensor, "n 3 3"] | None = None
