"""Which vertices of a mesh a camera sees."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.geometry import vertex_normals
from avatar.structs import Camera

from .mesh_view import view_mesh

DEPTH_TOLERANCE_M = 0.02
"""How far behind the nearest surface a vertex still counts as that surface."""
GRAZING = 0.2
"""Cosine to the line of sight at or below which a surface shows next to nothing."""


@torch.no_grad()
def visible_cosines(
    vertices_world: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], camera: Camera
) -> Float[Tensor, " v"]:
    """Cosine between normal and line of sight of each vertex that the camera sees, zero for the others.

    Hidden is what lies behind another part of the mesh, is turned away, or is outside the picture.
    """
    pixels, depths, raster = view_mesh(vertices_world, faces, camera)
    x, y = pixels.floor().long().unbind(-1)
    is_inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (depths > 0)
    nearest = raster.depths[y.clamp(0, camera.height - 1), x.clamp(0, camera.width - 1)]
    is_hidden = (nearest > 0) & (depths > nearest + DEPTH_TOLERANCE_M)
    cosines = (vertex_normals(vertices_world, faces) * normalize(camera.centre_world - vertices_world, dim=-1)).sum(-1)
    return cosines.where(is_inside & ~is_hidden & (cosines > GRAZING), 0.0)
