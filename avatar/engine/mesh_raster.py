"""Which triangle each pixel sees, compiled and in plain torch."""

import ctypes
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .library import call, integers, is_compiled, numbers, pointers

NEAR = 0.01
"""Depth, metres, at or before which nothing is drawn."""


class _Arguments(ctypes.Structure):
    _fields_ = [
        *pointers("vertices_px vertex_depths faces"),
        *integers("num_faces height width"),
        *numbers("near"),
        *pointers("triangles barycentrics depths"),
    ]


class MeshRaster(NamedTuple):
    """What every pixel of an image sees of a mesh.

    Attributes:
        triangles: the nearest triangle, of equally near ones the first; -1 where there is none.
        barycentrics: where on it, corrected for perspective: they interpolate anything given at the corners. Zero where
            there is no triangle.
        depths: distance along the optical axis, in the unit of the corners' depths; zero where there is no triangle.
    """

    triangles: Int[Tensor, "h w"]
    barycentrics: Float[Tensor, "h w 3"]
    depths: Float[Tensor, "h w"]


def rasterize_mesh(
    vertices_px: Float[Tensor, "v 2"], depths: Float[Tensor, " v"], faces: Int[Tensor, "t 3"], height: int, width: int
) -> MeshRaster:
    """Rasterize triangles, both sides, with a depth buffer: what ``avatar.geometry.project`` gives, to pixels.

    A pixel belongs to a triangle that holds its centre (at .5), edges included; triangles that share an edge leave no
    gap. Triangles that reach or pass the near plane (depth 0.01) are left out whole, as are those with a corner that is
    not finite. Not differentiable: take the triangles as constant and compute what follows from them in torch. On the
    CPU compiled, deterministic for any number of threads; elsewhere the reference.

    Raises:
        ValueError: shapes or dtypes do not fit, a face names a vertex that is not there, or the image has no pixels.
    """
    check_mesh(vertices_px, depths, faces, height, width)
    if not is_compiled() or vertices_px.device.type != "cpu":
        return rasterize_mesh_reference(vertices_px, depths, faces, height, width)
    inputs = [vertices_px.detach().contiguous(), depths.detach().contiguous(), faces.long().contiguous()]
    outputs = MeshRaster(
        torch.empty(height, width, dtype=torch.int64),
        depths.new_empty(height, width, 3),
        depths.new_empty(height, width),
    )
    sizes = (len(faces), height, width, NEAR)
    arguments = _Arguments(*(t.data_ptr() for t in inputs), *sizes, *(t.data_ptr() for t in outputs))
    call("rasterize_mesh", depths.dtype, arguments)
    return outputs


@torch.no_grad()
def rasterize_mesh_reference(
    vertices_px: Float[Tensor, "v 2"], depths: Float[Tensor, " v"], faces: Int[Tensor, "t 3"], height: int, width: int
) -> MeshRaster:
    """The same in plain torch, for any device, equal to the last bit."""
    check_mesh(vertices_px, depths, faces, height, width)
    corners, corner_depths = vertices_px.double()[faces], depths.double()[faces]
    triangles, columns, rows = _candidates(corners, corner_depths, height, width)
    edges = _edge_values(vertices_px.double(), faces[triangles], columns + 0.5, rows + 0.5)
    areas = _sum_of_three(edges)
    is_inside = ((edges >= 0).all(1) | (edges <= 0).all(1)) & (areas != 0)
    triangles, pixels, edges, areas = (x[is_inside] for x in (triangles, rows * width + columns, edges, areas))
    weights = edges * (1 / corner_depths)[triangles]
    totals = _sum_of_three(weights)

    nearness = totals / areas
    nearest = nearness.new_zeros(height * width).scatter_reduce(0, pixels, nearness, "amax")
    is_nearest = nearness == nearest[pixels]
    first = triangles.new_full((height * width,), len(faces))
    first = first.scatter_reduce(0, pixels[is_nearest], triangles[is_nearest], "amin")
    is_seen = is_nearest & (triangles == first[pixels])

    def image(values: Tensor, nothing: int) -> Tensor:
        pixels_of = torch.full((height * width, *values.shape[1:]), nothing, dtype=values.dtype, device=values.device)
        return pixels_of.index_copy(0, pixels[is_seen], values[is_seen]).unflatten(0, (height, width))

    barycentrics, seen_depths = (weights / totals[:, None]).to(depths.dtype), (areas / totals).to(depths.dtype)
    return MeshRaster(image(triangles, -1), image(barycentrics, 0), image(seen_depths, 0))


def _candidates(corners: Tensor, corner_depths: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Every pixel in the bounding box of every triangle that can be drawn: triangle, column, row."""
    is_drawable = corners.isfinite().all(-1).all(-1) & (corner_depths.isfinite() & (corner_depths > NEAR)).all(-1)
    sizes = corners.new_tensor([width, height])
    lows, highs = corners.where(is_drawable[:, None, None], -1).aminmax(dim=1)
    starts = (lows - 0.5).minimum(sizes).ceil().clamp(min=0).long()
    extents = (highs - 0.5).clamp(min=-1).floor().minimum(sizes - 1).long() + 1 - starts
    counts = extents.clamp(min=0).prod(1)
    triangles = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    places = torch.arange(len(triangles), device=counts.device) - (counts.cumsum(0) - counts)[triangles]
    box_widths = extents[triangles, 0]
    return triangles, starts[triangles, 0] + places % box_widths, starts[triangles, 1] + places // box_widths


def _edge_values(vertices_px: Tensor, faces: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Twice the signed area that each pixel centre makes with the edge opposite each corner of its own face.

    Computed from the edge's end of the lower index, so that the two triangles at an edge get exactly opposite values.
    """
    values = []
    for corner in range(3):
        start, end = faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        origin_x, origin_y = vertices_px[torch.minimum(start, end)].unbind(1)
        far_x, far_y = vertices_px[torch.maximum(start, end)].unbind(1)
        value = (far_x - origin_x) * (y - origin_y) - (far_y - origin_y) * (x - origin_x)
        values.append(torch.where(start < end, value, -value))
    return torch.stack(values, dim=1)


def _sum_of_three(values: Tensor) -> Tensor:
    """Row sums in the order of the compiled version."""
    return values[:, 0] + values[:, 1] + values[:, 2]


def check_mesh(vertices_px: Tensor, depths: Tensor, faces: Tensor, height: int, width: int) -> None:
    """ValueError where what ``rasterize_mesh`` takes does not fit together."""
    if vertices_px.shape != (len(depths), 2) or faces.shape != (len(faces), 3):
        found = f"{tuple(vertices_px.shape)}, {tuple(depths.shape)} and {tuple(faces.shape)}"
        raise ValueError(f"rasterize_mesh: expected (v, 2) vertices, (v,) depths and (t, 3) faces, found {found}")
    if vertices_px.dtype != depths.dtype or depths.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"rasterize_mesh: expected vertices and depths both float32 or both float64, found {vertices_px.dtype} and "
            f"{depths.dtype}"
        )
    if height < 1 or width < 1:
        raise ValueError(f"rasterize_mesh: expected a positive size, found {height} x {width}")
    if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= len(depths)):
        raise ValueError(
            f"rasterize_mesh: expected faces of vertices 0 to {len(depths) - 1}, "
            f"found {int(faces.min())} to {int(faces.max())}"
        )
