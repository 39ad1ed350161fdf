"""The surface of a radiance field as a mesh."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_fill_holes
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import max_pool3d, pad

from avatar.geometry import marching_cubes, triangle_areas, vertex_normals
from avatar.structs import Mesh, RadianceField, RaySamples

CHUNK = 2**17
"""Places that a field is asked about at once."""
NARROW_M = 0.024
"""No cavity of a body opens to the outside through a passage as narrow as this."""
SMALLEST_SHARE = 0.01
"""Of all area: what hangs together and is smaller floats about, and is no part of the person."""


@torch.no_grad()
def surface_of(field: RadianceField, cell_m: float = 0.006, with_colors: bool = True) -> Mesh:
    """Where the distance of ``field`` is zero, by marching cubes on ``cell_m`` cells; in the frame of the field.

    The field is asked in the cells of its grid alone. Outside is what can be reached from the border of its box without
    passing a place where it is negative; all else is inside, also where nobody asked. Deep in a body no distance is
    known: a cavity there counts as inside even where a passage, less than ``NARROW_M`` wide, leads out. So the mesh is
    closed, encloses a solid, and ends where the grid does. Pieces of less than ``SMALLEST_SHARE`` of the area are left
    out. Colours are those seen straight from the front. Nothing inside gives a mesh of no triangles.

    Raises ValueError for a ``cell_m`` that is not positive, and where the field's answer is no number.
    """
    if not cell_m > 0:
        raise ValueError(f"cell_m: expected a positive length in metres, got {cell_m}")
    corner = field.grid.box[0] - cell_m
    distances = _solid(_distances(field, corner, cell_m), cell_m)
    places, faces = marching_cubes(distances)
    faces = faces[_is_large(places, faces)]
    used, faces = torch.unique(faces, return_inverse=True)
    mesh = Mesh(vertices=corner + cell_m * places[used], faces=faces)
    if with_colors:
        mesh = replace(mesh, colors=frontal_colors(field, mesh.vertices, vertex_normals(mesh.vertices, mesh.faces)))
    return mesh


def _distances(field: RadianceField, corner: Float[Tensor, "3"], cell_m: float) -> Float[Tensor, "x y z"]:
    """At points ``cell_m`` apart, from ``corner`` to beyond the box of the grid; positive where nobody asks."""
    low, high = field.grid.box
    occupied = pad(field.grid.occupied != 0, (1,) * 6)  # what lies outside the box is empty
    counts = torch.tensor(field.grid.occupied.shape, device=low.device)
    sizes = ((high - corner) / cell_m).ceil().long() + 2
    for axis, size in enumerate(sizes.tolist()):
        places = corner[axis] + cell_m * torch.arange(size, device=low.device) - low[axis]
        cells = (places * (counts[axis] / (high - low)[axis])).floor().clamp(-1, float(counts[axis])).long()
        occupied = occupied.index_select(axis, cells + 1)
    distances = torch.full_like(occupied, cell_m, dtype=low.dtype)
    asked = occupied.nonzero()
    for start in range(0, len(asked), CHUNK):
        points = asked[start : start + CHUNK]
        distances[tuple(points.unbind(1))] = field.distance(corner + cell_m * points)
    return distances


def _solid(distances: Float[Tensor, "x y z"], cell_m: float) -> Float[Tensor, "x y z"]:
    """The same with all that is inside made negative."""
    is_negative = distances < 0
    reach = max(1, round(NARROW_M / 2 / cell_m))
    is_tight = _grown(is_negative, reach)
    is_cavity = _without_holes(is_tight) & ~is_tight
    is_solid = _without_holes(is_negative | _grown(is_cavity, reach))
    return torch.where(is_solid & (distances >= 0), -cell_m, distances)


def _without_holes(is_solid: Bool[Tensor, "x y z"]) -> Bool[Tensor, "x y z"]:
    """What is solid, or cannot be reached from the border, from neighbour to neighbour, without passing through it."""
    return torch.from_numpy(binary_fill_holes(is_solid.numpy(force=True))).to(is_solid.device)


def _grown(is_solid: Bool[Tensor, "x y z"], reach: int) -> Bool[Tensor, "x y z"]:
    """What is solid, or has something solid in the cube of points at most ``reach`` away along each axis."""
    values = is_solid[None].float()
    for axis in range(3):
        size = [2 * reach + 1 if i == axis else 1 for i in range(3)]
        values = max_pool3d(values, size, stride=1, padding=[length // 2 for length in size])
    return values[0] > 0


def _is_large(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"]) -> Bool[Tensor, " t"]:
    """Triangles of the pieces that have at least ``SMALLEST_SHARE`` of all area."""
    ends = torch.cat([faces[:, :2], faces[:, 1:]]).numpy(force=True)
    links = coo_array((np.ones(len(ends)), ends.T), shape=(len(vertices), len(vertices)))
    pieces = torch.from_numpy(connected_components(links, directed=False)[1]).to(faces.device)[faces[:, 0]].long()
    areas = torch.bincount(pieces, triangle_areas(vertices, faces).double())
    return areas[pieces] >= SMALLEST_SHARE * areas.sum()


@torch.no_grad()
def frontal_colors(
    field: RadianceField, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """sRGB in [0, 1] of places on a surface with these unit normals, as who looks straight at them sees it."""
    colors = [points.new_empty(0, 3)]
    for start in range(0, len(points), CHUNK):
        places, looks = points[start : start + CHUNK], -normals[start : start + CHUNK]
        samples = RaySamples(points=places, directions=looks, lengths=torch.full_like(places[:, 0], field.step_m))
        colors.append(field.radiance(field.shape(samples)))
    return torch.cat(colors).clamp(0, 1)
