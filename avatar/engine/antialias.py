"""Silhouettes that pass gradients: neighbouring pixels are blended where the outline of a mesh runs between them."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import face_neighbours

from .mesh_raster import MeshRaster


class Crossings(NamedTuple):
    """Pairs of neighbouring pixels whose centres have a silhouette between them.

    Attributes:
        near: the pixel that shows the triangle with the silhouette, counted row by row.
        far: its neighbour.
        edges: the two vertices of the edge that runs between them.
    """

    near: Int[Tensor, " m"]
    far: Int[Tensor, " m"]
    edges: Int[Tensor, "m 2"]


def antialias(
    image: Float[Tensor, "h w d"],
    raster: MeshRaster,
    vertices_px: Float[Tensor, "v 2"],
    faces: Int[Tensor, "t 3"],
    neighbours: Int[Tensor, "t 3"] | None = None,
) -> Float[Tensor, "h w d"]:
    """Blend what a mesh covers into what is behind, by how far its outline reaches past the centres of pixels.

    After Laine et al. 2020, section 3.5. Where two neighbours show different triangles and a silhouette edge of the
    nearer triangle crosses the line between their centres, at a share t of the way from the nearer one's, the farther
    pixel takes ``t - 1/2`` of the nearer one's values, or the nearer pixel ``1/2 - t`` of the farther one's. An edge
    counts for pairs along the axis that it is steeper against, once a row or column. For a straight outline between two
    colours the sum over the image is, to the order of a pixel at its ends, the integral over the area covered, and so
    is the gradient. Only the three edges of the nearer triangle are asked: where triangles are smaller than a pixel
    some of the outline is missed.

    Differentiable, twice and on any device, to the image and to ``vertices_px``; the raster is constant.

    Args:
        image: any channels, such as colour and coverage, drawn from ``raster``.
        raster: of the same size, made of these vertices and faces.
        vertices_px: pixel centres at .5.
        neighbours: ``face_neighbours(faces)``; worth keeping between frames.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(image, raster, vertices_px, faces)
    crossings = find_crossings(raster, vertices_px, faces, face_neighbours(faces) if neighbours is None else neighbours)
    width, pixels = image.shape[1], image.flatten(0, 1)
    near, far = crossings.near, crossings.far
    excess = _places(crossings, vertices_px, width)[:, None].to(image.dtype) - 0.5
    difference = pixels[near] - pixels[far]
    changed = torch.where(excess[:, 0] > 0, far, near)
    return pixels.index_add(0, changed, excess * difference).view_as(image)


@torch.no_grad()
def find_crossings(
    raster: MeshRaster, vertices_px: Float[Tensor, "v 2"], faces: Int[Tensor, "t 3"], neighbours: Int[Tensor, "t 3"]
) -> Crossings:
    """Where ``antialias`` blends: pairs along rows, then along columns, in the order of their first pixels."""
    if not len(faces):
        empty = faces.new_empty(0, dtype=torch.int64)
        return Crossings(empty, empty, empty.new_empty(0, 2))
    found = [_crossings_along(axis, raster, vertices_px, faces, neighbours) for axis in (0, 1)]
    return Crossings(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _crossings_along(
    axis: int, raster: MeshRaster, vertices_px: Tensor, faces: Tensor, neighbours: Tensor
) -> Crossings:
    """Those of pixels that are neighbours along x (axis 0) or y (1)."""
    width, ids = raster.triangles.shape[1], raster.triangles.flatten()
    depths = raster.depths.flatten().where(ids >= 0, torch.inf)
    pairs = raster.triangles.diff(dim=1 - axis).nonzero()
    first = pairs[:, 0] * width + pairs[:, 1]
    second = first + (1, width)[axis]
    is_first_nearer = depths[first] <= depths[second]
    near, far = torch.where(is_first_nearer, first, second), torch.where(is_first_nearer, second, first)

    corners = faces[ids[near]]
    edges = torch.stack([corners, corners.roll(-1, 1)], 2)
    starts, ends = vertices_px[edges].unbind(2)
    along = (ends - starts).abs()
    is_steep = along[..., 1 - axis] > along[..., axis] if axis else along[..., 1 - axis] >= along[..., axis]
    level = (near % width, near // width)[1 - axis][:, None] + 0.5
    is_crossed = (starts[..., 1 - axis] <= level) != (ends[..., 1 - axis] <= level)
    is_candidate = is_steep & is_crossed & _is_silhouette(ids[near], edges, vertices_px, faces, neighbours)
    rows, sides = is_candidate.nonzero().unbind(1)
    crossings = Crossings(near[rows], far[rows], edges[rows, sides])
    places = _places(crossings, vertices_px, width)
    is_between = (places >= 0) & (places <= 1)
    return Crossings(*(t[is_between] for t in crossings))


def _is_silhouette(ids: Tensor, edges: Tensor, vertices_px: Tensor, faces: Tensor, neighbours: Tensor) -> Tensor:
    """Edges at a border, or whose two triangles lie on the same side of them on the image."""
    others = neighbours[ids]
    starts, ends = vertices_px[edges].unbind(2)

    def side(vertices: Tensor) -> Tensor:
        offsets, directions = vertices_px[vertices] - starts, ends - starts
        return directions[..., 0] * offsets[..., 1] - directions[..., 1] * offsets[..., 0]

    own = faces[ids].roll(-2, 1)
    opposite = faces[others.clamp_min(0)].sum(2) - edges.sum(2)
    return (others < 0) | (side(own) * side(opposite) > 0)


def _places(crossings: Crossings, vertices_px: Tensor, width: int) -> Float[Tensor, " m"]:
    """Where the edge crosses, 0 at the nearer pixel's centre and 1 at the farther one's."""
    near, far, edges = crossings
    axis = ((near - far).abs() == width).long()[:, None] if width > 1 else torch.ones_like(near)[:, None]
    centres = torch.stack([near % width, near // width], 1).to(vertices_px) + 0.5
    starts, ends = vertices_px[edges].unbind(1)
    level, position = centres.gather(1, 1 - axis), centres.gather(1, axis)
    share = (level - starts.gather(1, 1 - axis)) / (ends - starts).gather(1, 1 - axis)
    crossing = starts.gather(1, axis) + share * (ends - starts).gather(1, axis)
    return ((crossing - position) * (far - near).sign()[:, None])[:, 0]


def _check(image: Tensor, raster: MeshRaster, vertices_px: Tensor, faces: Tensor) -> None:
    size = raster.triangles.shape
    if image.shape[:2] != size:
        raise ValueError(f"antialias: image: expected {tuple(size)} pixels like the raster, got {tuple(image.shape)}")
    if int(raster.triangles.max()) >= len(faces):
        raise ValueError(f"antialias: raster: expected triangles below {len(faces)}, got {int(raster.triangles.max())}")
    if len(faces) and int(faces.max()) >= len(vertices_px):
        raise ValueError(f"antialias: faces: expected vertices below {len(vertices_px)}, got {int(faces.max())}")
