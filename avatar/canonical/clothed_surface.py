"""The surface of a hybrid as one mesh: the template in its clothes, coloured like the Gaussians on it.

Its shape is the shell that outlines gave it. Without a shell the Gaussians say where the surface is: the smooth
displacement that agrees with them, a membrane tied to every one of them, the ties of those that stand off giving way
(Geman and McClure 1987). They are the worse witnesses: fitted to pictures they sit inside of what they show.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from avatar.geometry import SH_C0, cotangent_weights, interpolate, vertex_normals
from avatar.structs import Binding, Gaussians, Mesh

from .hybrid import Hybrid

_NOTHING_M2 = 1e-10  # what holds vertices at zero that no Gaussian and no neighbour holds


@dataclass(frozen=True, kw_only=True)
class ClothedSurfaceConfig:
    """How closely it follows the Gaussians, in colour and, without a shell, in shape.

    Attributes:
        smooth_m: over about this length places are averaged, metres.
        smooth_color_m: the same for colours.
        outlier_m: Gaussians farther from the surface than this count little, metres.
        rounds: how often the weights of outliers are judged anew.
    """

    smooth_m: float = 0.012
    smooth_color_m: float = 0.004
    outlier_m: float = 0.01
    rounds: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"ClothedSurfaceConfig.{name}: expected a positive number, got {value}")


@torch.no_grad()
def clothed_surface(hybrid: Hybrid, config: ClothedSurfaceConfig | None = None) -> Gaussians:
    """One Gaussian for each vertex of the template, where the clothed surface is and as it looks, canonical pose.

    A deformer takes them to any pose like the others. Their sizes mean nothing; vertices of no triangle stay at rest.
    """
    config, scene, template = config or ClothedSurfaceConfig(), hybrid(), hybrid.template
    ties = _Ties(template, hybrid.triangles, hybrid.barycentrics)
    strengths = (scene.opacities * scene.scales.sort(1).values[:, 1:].prod(1)).double().cpu().numpy()
    naked = interpolate(template.vertices, template.faces[hybrid.triangles], hybrid.barycentrics)
    offsets = (scene.means - naked).double().cpu().numpy()
    displacement, weights = np.zeros(template.vertices.shape), strengths
    for _ in range(config.rounds):
        displacement = ties.settle(offsets, weights, config.smooth_m)
        excess = np.square((ties.at_gaussians(displacement) - offsets) / config.outlier_m).sum(1)
        weights = strengths / np.square(1 + excess)
    colors = hybrid.colors.double().cpu().numpy()
    mean = np.average(colors, axis=0, weights=weights)  # of what nothing is tied to
    colors = mean + ties.settle(colors - mean, weights, config.smooth_color_m)
    places = hybrid.shell if bool(hybrid.shell.any()) else template.vertices.new_tensor(displacement)
    return _at_vertices(template, scene, places, template.vertices.new_tensor(colors))


def membrane(template: Mesh) -> csr_array:
    """The matrix ``M`` of ``x' M x``, the integral of ``|grad x|^2`` over the surface; no cotangent below zero."""
    ends, weights = (t.cpu().numpy() for t in cotangent_weights(template.vertices.double(), template.faces))
    one_way = coo_array((weights.clip(min=0), ends.T), (len(template.vertices),) * 2)
    both = (one_way + one_way.T).tocsr()
    return csr_array(diags_array(both.sum(1)) - both)


class _Ties:
    """A template's vertices and what is tied to points on its triangles."""

    def __init__(self, template: Mesh, triangles: Int[Tensor, " n"], barycentrics: Float[Tensor, "n 3"]) -> None:
        num_vertices, corners = len(template.vertices), template.faces[triangles].cpu().numpy()
        rows = np.repeat(np.arange(len(corners)), 3)
        entries = (barycentrics.double().cpu().numpy().ravel(), (rows, corners.ravel()))
        self._points = coo_array(entries, (len(corners), num_vertices)).tocsr()
        self._membrane = membrane(template)

    def at_gaussians(self, values: np.ndarray) -> np.ndarray:
        """Values of the vertices, interpolated."""
        return self._points @ values

    def settle(self, values: np.ndarray, weights: np.ndarray, smooth_m: float) -> np.ndarray:
        """Values of the vertices that agree with those of the Gaussians and are smooth over ``smooth_m``."""
        pull = self._points.T @ diags_array(weights)
        system = pull @ self._points + smooth_m**2 * self._membrane + diags_array(np.full(pull.shape[0], _NOTHING_M2))
        return splu(csc_array(system)).solve(pull @ values)


def _at_vertices(
    template: Mesh, scene: Gaussians, displacement: Float[Tensor, "v 3"], colors: Float[Tensor, "v 3"]
) -> Gaussians:
    """Round Gaussians at the displaced vertices, bound there."""
    vertices, faces = template.vertices, template.faces
    triangles, corner_ids = faces.new_zeros(len(vertices)), faces.new_zeros(len(vertices))
    for corner in range(3):
        triangles[faces[:, corner]] = torch.arange(len(faces), device=faces.device)
        corner_ids[faces[:, corner]] = corner
    binding = Binding(
        template=template,
        triangles=triangles,
        barycentrics=torch.nn.functional.one_hot(corner_ids, 3).to(vertices),
        normals=vertex_normals(vertices + displacement, faces),
    )
    sh = vertices.new_zeros(len(vertices), scene.sh.shape[1], 3)
    sh[:, 0] = (colors - 0.5) / SH_C0
    return Gaussians(
        means=vertices + displacement,
        quats=vertices.new_tensor([1.0, 0, 0, 0]).expand(len(vertices), 4),
        scales=vertices.new_full((len(vertices), 3), 1e-3),
        opacities=vertices.new_ones(len(vertices)),
        sh=sh,
        binding=binding,
    )
