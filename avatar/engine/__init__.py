"""The performance core: compiled CPU kernels and, beside each, its plain-torch reference with the same signature.

``rasterize``       Gaussians to images; ``rasterize_reference`` is its specification
``rasterize_mesh``  triangles to the nearest one at each pixel; ``rasterize_mesh_reference`` is its specification
``skin``            points, rotations and normals by linear blend skinning; ``skin_reference``
``ssim``            mean structural similarity with a fused gradient; ``ssim_reference`` is its specification

Where the compiled library is missing (no C++ compiler at install) the references stand in, and one log line says so.
"""

from .library import compiled_variant, set_threads
from .mesh_raster import MeshRaster, rasterize_mesh, rasterize_mesh_reference
from .rasterize import rasterize
from .rasterize_reference import rasterize_reference
from .skin import Influences, Skinnable, skin, skin_reference
from .ssim import ssim, ssim_reference
from .views import RasterizeOptions, Renders, Splats, Views

__all__ = [
    "Influences",
    "MeshRaster",
    "RasterizeOptions",
    "Renders",
    "Skinnable",
    "Splats",
    "Views",
    "compiled_variant",
    "rasterize",
    "rasterize_mesh",
    "rasterize_mesh_reference",
    "rasterize_reference",
    "set_threads",
    "skin",
    "skin_reference",
    "ssim",
    "ssim_reference",
]
