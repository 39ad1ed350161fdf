"""The performance core: compiled CPU kernels and, beside each, its plain-torch reference with the same signature.

``composite``       packed samples to sums along rays; in two steps ``weights_from_densities`` and ``accumulate``
``march``           samples along rays through an occupancy grid; ``march_reference`` is its specification
``image_errors``    colour, structure and coverage of a rendering against a picture; ``image_errors_reference``
``neus_alphas``     how opaque samples with signed distances are; ``neus_alphas_reference``
``laplace_densities``, ``truncated_exp``  densities of what a field says
``rasterize``       Gaussians to images; ``rasterize_reference`` is its specification
``rasterize_mesh``  triangles to the nearest one at each pixel; ``rasterize_mesh_reference`` is its specification
``antialias``       images of a mesh whose outline passes gradients, in plain torch
``closest_points``  the closest point of a ``MeshTree`` to each point, signed distance; ``closest_points_reference``
``skin``            points, rotations and normals by linear or dual-quaternion skinning; ``skin_reference``
``skin_points``      the points alone; ``skin_points_reference``
``forward_kinematics``  joints of a tree; its specification is in ``avatar.geometry``
``SparseMap``       fixed weighted sums of rows of a table, and their transpose
``on_frames``       points and rotations from frames on a surface; ``on_frames_reference``
``relight``         colours times a light that depends on the normal; ``relight_reference``
``hash_encode``     features of points from a multiresolution ``HashGrid``; ``hash_encode_reference``
``distance_net``    a net with one hidden layer and the slopes of its first output; ``distance_net_reference``
``distance_field``  such a net on a hash grid, with gradients by the points; ``distance_field_reference``
``relu_net``        linear layers with rectifiers in between; ``relu_net_reference`` is its specification
``ssim``            mean structural similarity with a fused gradient; ``ssim_reference`` is its specification

Where the compiled library is missing (no C++ compiler at install) the references stand in, and one log line says so.
"""

from .antialias import antialias
from .closest_points import closest_points
from .closest_points_reference import ClosestPoints, closest_points_reference
from .composite import accumulate, composite, composite_alphas, weights_from_alphas, weights_from_densities
from .composite_reference import (
    accumulate_reference,
    composite_alphas_reference,
    composite_reference,
    weights_from_alphas_reference,
    weights_from_densities_reference,
)
from .densities import laplace_densities, truncated_exp
from .distance_field import distance_field, distance_field_reference
from .distance_net import distance_net, distance_net_reference
from .hash_encode import hash_encode, hash_encode_reference
from .hash_grid import HashGrid, HashLevel
from .image_errors import ImageErrors, image_errors, image_errors_reference
from .kinematics import forward_kinematics
from .library import compiled_variant, set_threads
from .march import OccupancyGrid, Rays, march, march_reference, occupied_cells
from .mesh_raster import MeshRaster, rasterize_mesh, rasterize_mesh_reference
from .mesh_tree import MeshTree
from .neus import neus_alphas, neus_alphas_reference
from .packed import Composite, Packed, SampleWeights
from .rasterize import rasterize
from .rasterize_reference import rasterize_reference
from .relight import relight, relight_reference
from .relu_net import relu_net, relu_net_reference
from .skin import Covariance, Influences, Skinnable, skin, skin_points, skin_points_reference, skin_reference
from .sparse_map import SparseMap
from .ssim import ssim, ssim_reference
from .surface_frames import on_frames, on_frames_reference
from .views import RasterizeOptions, Renders, Splats, Views

__all__ = [
    "ClosestPoints",
    "Composite",
    "Covariance",
    "HashGrid",
    "HashLevel",
    "ImageErrors",
    "Influences",
    "MeshRaster",
    "MeshTree",
    "OccupancyGrid",
    "Packed",
    "RasterizeOptions",
    "Rays",
    "Renders",
    "SampleWeights",
    "Skinnable",
    "SparseMap",
    "Splats",
    "Views",
    "accumulate",
    "accumulate_reference",
    "antialias",
    "closest_points",
    "closest_points_reference",
    "compiled_variant",
    "composite",
    "composite_alphas",
    "composite_alphas_reference",
    "composite_reference",
    "distance_field",
    "distance_field_reference",
    "distance_net",
    "distance_net_reference",
    "forward_kinematics",
    "hash_encode",
    "hash_encode_reference",
    "image_errors",
    "image_errors_reference",
    "laplace_densities",
    "march",
    "march_reference",
    "neus_alphas",
    "neus_alphas_reference",
    "occupied_cells",
    "on_frames",
    "on_frames_reference",
    "rasterize",
    "rasterize_mesh",
    "rasterize_mesh_reference",
    "rasterize_reference",
    "relight",
    "relight_reference",
    "relu_net",
    "relu_net_reference",
    "set_threads",
    "skin",
    "skin_points",
    "skin_points_reference",
    "skin_reference",
    "ssim",
    "ssim_reference",
    "truncated_exp",
    "weights_from_alphas",
    "weights_from_alphas_reference",
    "weights_from_densities",
    "weights_from_densities_reference",
]
