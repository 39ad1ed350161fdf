"""``closest_points`` and ``rasterize_mesh`` on CUDA through pytorch3d's kernels."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..closest_points_reference import ClosestPoints, check_points, closest_points_from_faces
from ..mesh_raster import NEAR, MeshRaster, check_mesh
from ..mesh_tree import MeshTree
from .extras import extra

NO_AREA = 0.0
"""Area up to which pytorch3d takes a triangle for its edges; only those without any are."""


def closest_points(points: Float[Tensor, "n 3"], tree: MeshTree) -> ClosestPoints:
    """The closest point of the tree's mesh to every point; same meaning and gradients as ``avatar.engine``'s.

    pytorch3d says which triangle is closest; where on it, the sign and the gradients come from the triangle as in the
    reference. Every point meets every triangle: 100k points on 27k triangles are 2.7 billion distances. float32 only.
    Where triangles are equally close the choice is pytorch3d's.

    Raises:
        ValueError: shape, dtype or device does not fit the tree, or it is not on a CUDA device.
        ImportError: pytorch3d cannot be had here; says what to install.
    """
    check_points(points, tree)
    _check_tensor("closest_points: points", points)
    is_finite = points.isfinite().all(1)
    kept = tree.vertices[tree.faces].isfinite().flatten(1).all(1).nonzero()[:, 0]
    face_ids = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    if len(kept) and bool(is_finite.any()):
        kernels = extra("pytorch3d")._C
        queries, triangles = points.detach()[is_finite].contiguous(), tree.vertices.detach()[tree.faces[kept]]
        start = torch.zeros(1, dtype=torch.int64, device=points.device)
        found = kernels.point_face_dist_forward(queries, start, triangles.contiguous(), start, len(queries), NO_AREA)
        face_ids[is_finite] = kept[found[1]]
    return closest_points_from_faces(points, tree, face_ids)


def rasterize_mesh(
    vertices_px: Float[Tensor, "v 2"], depths: Float[Tensor, " v"], faces: Int[Tensor, "t 3"], height: int, width: int
) -> MeshRaster:
    """The nearest triangle at each pixel; same meaning as ``avatar.engine.rasterize_mesh``, to float32's rounding.

    Pixels exactly on a shared edge may go to either triangle or, by rounding, to neither; those at equal depths to any.

    Raises:
        ValueError: shapes or dtypes do not fit, or tensors are not float32 on a CUDA device.
        ImportError: pytorch3d cannot be had here; says what to install.
    """
    check_mesh(vertices_px, depths, faces, height, width)
    _check_tensor("rasterize_mesh: depths", depths)
    corners = torch.cat([_ndc_from_pixels(vertices_px.detach(), height, width), depths.detach()[:, None]], 1)[faces]
    kept = (corners.isfinite().flatten(1).all(1) & (corners[..., 2] > NEAR).all(1)).nonzero()[:, 0]
    if not len(kept):
        ids = torch.full((height, width), -1, dtype=torch.int64, device=depths.device)
        return MeshRaster(ids, depths.new_zeros(height, width, 3), depths.new_zeros(height, width))
    starts = torch.zeros(1, dtype=torch.int64, device=depths.device)
    counts = torch.full((1,), len(kept), dtype=torch.int64, device=depths.device)
    no_neighbours = torch.full((len(kept),), -1, dtype=torch.int64, device=depths.device)
    ids, found_depths, barycentrics, _ = extra("pytorch3d")._C.rasterize_meshes(
        corners[kept].contiguous(),
        starts,
        counts,
        no_neighbours,
        (height, width),
        0.0,  # blur radius
        1,  # faces a pixel
        _bin_size(max(height, width)),
        len(kept),  # room in a bin: never too small
        True,  # barycentrics corrected for perspective
        False,  # barycentrics not clipped
        False,  # both sides drawn
    )
    ids, found_depths, barycentrics = ids[0, ..., 0], found_depths[0, ..., 0], barycentrics[0, :, :, 0]
    is_seen = ids >= 0
    return MeshRaster(
        triangles=kept[ids.clamp_min(0)].where(is_seen, -1),
        barycentrics=barycentrics.where(is_seen[..., None], 0),
        depths=found_depths.where(is_seen, 0),
    )


def _ndc_from_pixels(vertices_px: Tensor, height: int, width: int) -> Tensor:
    """pytorch3d's image plane: x to the left, y up, the shorter side from -1 to 1, its pixel centres in the middle."""
    sizes = vertices_px.new_tensor([width, height])
    return (sizes - 2 * vertices_px) / min(height, width)


def _bin_size(size_px: int) -> int:
    """A power of two that gives at most 16 bins, of the 21 that pytorch3d can take."""
    return 2 ** max((size_px - 1).bit_length() - 4, 4)


def _check_tensor(name: str, tensor: Tensor) -> None:
    if tensor.device.type != "cuda" or tensor.dtype != torch.float32:
        raise ValueError(f"{name}: expected float32 on a CUDA device, got {tensor.dtype} on {tensor.device}")
