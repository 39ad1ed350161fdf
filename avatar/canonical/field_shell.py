"""The surface of a radiance field as a displacement of a mesh that lies near it, such as the body within.

Every vertex looks along its normal for the places where the field's distance changes sign from inside to outside, and
takes the nearest. A membrane holds what they find together and gives way where some of them found something else, such
as the arm beside the chest (compare ``clothed_surface``).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from avatar.engine import Rays, march
from avatar.geometry import triangle_areas, vertex_normals
from avatar.structs import Mesh, RadianceField

from .clothed_surface import membrane

_NOTHING = 1e-6  # of a vertex's weight: what holds vertices at zero that found nothing, nor did any neighbour


@dataclass(frozen=True, kw_only=True)
class FieldShellConfig:
    """How the surface is looked for.

    Attributes:
        reach_m: farthest from the mesh, metres.
        step_m: how densely the field is asked along a normal, metres.
        smooth_m: over about this length places are averaged, metres.
        outlier_m: vertices whose finds are farther from the others' than this count little, metres.
        rounds: how often the weights of outliers are judged anew.
    """

    reach_m: float = 0.1
    step_m: float = 0.004
    smooth_m: float = 0.006
    outlier_m: float = 0.01
    rounds: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"FieldShellConfig.{name}: expected a positive number, got {value}")


@torch.no_grad()
def field_shell(field: RadianceField, mesh: Mesh, config: FieldShellConfig | None = None) -> Float[Tensor, "v 3"]:
    """How far every vertex of ``mesh`` is from the surface of ``field`` along its normal, as a vector, metres.

    Both in one frame. The mesh may be open; its pieces without any surface near stay where they are.
    """
    config = config or FieldShellConfig()
    normals = vertex_normals(mesh.vertices, mesh.faces)
    heights = _nearest_crossings(field, mesh.vertices, normals, config)
    return _settled(mesh, heights, config)[:, None] * normals


def _nearest_crossings(
    field: RadianceField, vertices: Float[Tensor, "v 3"], normals: Float[Tensor, "v 3"], config: FieldShellConfig
) -> Float[Tensor, " v"]:
    """Heights above the vertices at which the way along the normals leaves the surface; NaN where it never does."""
    rays = Rays(vertices - config.reach_m * normals, normals, 0.0, 2 * config.reach_m)
    found = march(rays, field.grid, config.step_m)
    heights, owners = found.middles - config.reach_m, found.ray_ids
    distances = field.distance(vertices[owners] + heights[:, None] * normals[owners])
    below, above = distances[:-1], distances[1:]
    is_next = (owners.diff() == 0) & (heights.diff() < 1.5 * config.step_m)
    leaves = (is_next & (below < 0) & (above >= 0)).nonzero()[:, 0]
    heights = heights[leaves] + config.step_m * (below / (below - above))[leaves]
    owners = owners[leaves]
    least = torch.full_like(vertices[:, 0], torch.inf).scatter_reduce(0, owners, heights.abs(), "amin")
    is_nearest = heights.abs() == least[owners]
    nearest = torch.full_like(least, torch.nan)
    nearest[owners[is_nearest]] = heights[is_nearest]
    return nearest


def _settled(mesh: Mesh, heights: Float[Tensor, " v"], config: FieldShellConfig) -> Float[Tensor, " v"]:
    """Heights that agree with those found and are smooth."""
    areas = triangle_areas(mesh.vertices, mesh.faces)[:, None].expand(-1, 3) / 3
    shares = torch.zeros_like(heights).index_add(0, mesh.faces.flatten().long(), areas.flatten())
    is_known = heights.isfinite().cpu().numpy()
    if not is_known.any():
        raise ValueError("field_shell: no surface of the field within reach of the body; fit the field further")
    wanted = heights.nan_to_num().double().cpu().numpy()
    strengths = shares.double().cpu().numpy() * is_known
    tension = config.smooth_m**2 * membrane(mesh)
    weights, settled = strengths, np.zeros_like(wanted)
    for _ in range(config.rounds):
        system = tension + diags_array(weights + _NOTHING * strengths.mean())
        settled = splu(csc_array(system)).solve(weights * wanted)
        weights = strengths / np.square(1 + np.square((settled - wanted) / config.outlier_m))
    return heights.new_tensor(settled)
