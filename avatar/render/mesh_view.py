"""A mesh as a camera sees it."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from avatar.engine import MeshRaster, rasterize_mesh
from avatar.geometry import project, transform_points
from avatar.structs import Camera


class MeshView(NamedTuple):
    """Where its vertices are in the picture, how deep, and what each pixel sees.

    Attributes:
        pixels: of the vertices.
        depths: of the vertices along the optical axis, metres.
        raster: triangles, barycentrics and depths of the pixels.
    """

    pixels: Float[Tensor, "v 2"]
    depths: Float[Tensor, " v"]
    raster: MeshRaster


def view_mesh(vertices_world: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], camera: Camera) -> MeshView:
    """Project and rasterize a mesh (world metres); ValueError for faces that name vertices that are not there."""
    pixels, depths = project(transform_points(camera.camera_from_world, vertices_world), camera.intrinsics_px)
    return MeshView(pixels, depths, rasterize_mesh(pixels, depths, faces, camera.height, camera.width))
