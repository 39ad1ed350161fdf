"""A mesh from the front and from the back, coloured by what is known of its vertices."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import interpolate, transform_directions, vertex_normals
from avatar.render import framing_distance, orbit, view_mesh
from avatar.structs import Camera, Mesh

HEIGHT_PX, WIDTH_PX = 900, 640  # of one side, at most
MARGIN_PX = 24
AMBIENT = 0.55  # how much of the colour shows where the surface turns away

Paint = Callable[[Float[Tensor, "n d"]], np.ndarray]
"""Values of ``n`` places to their colours, ``n 3``, BGR from 0 to 255."""


def two_sides(mesh: Mesh, values: Float[Tensor, "v d"], paint: Paint) -> UInt8[np.ndarray, "h w 4"]:
    """Seen along +Y, as a body at rest is seen from its front, and along -Y, side by side: BGR and opacity."""
    middle = mesh.vertices.aminmax(dim=0)
    targets = ((middle.min + middle.max) / 2).expand(2, 3)

    def cameras(distance_m: float) -> list[Camera]:
        return orbit(targets, distance_m, height=HEIGHT_PX, width=WIDTH_PX, elevation=0.0, start=-math.pi / 2)

    views = cameras(framing_distance(mesh.vertices.expand(2, -1, -1), targets, cameras(1.0)))
    sides = np.stack([_side(mesh, values, paint, camera) for camera in views])
    columns = np.flatnonzero(sides[..., 3].any((0, 1))) - WIDTH_PX // 2
    half = min(WIDTH_PX // 2, int(np.abs(columns).max(initial=0)) + MARGIN_PX)
    return np.concatenate(list(sides[:, :, WIDTH_PX // 2 - half : WIDTH_PX // 2 + half]), 1)


def _side(mesh: Mesh, values: Float[Tensor, "v d"], paint: Paint, camera: Camera) -> UInt8[np.ndarray, "h w 4"]:
    raster = view_mesh(mesh.vertices, mesh.faces, camera).raster
    is_body = raster.triangles >= 0
    facing = -transform_directions(camera.camera_from_world, vertex_normals(mesh.vertices, mesh.faces))[:, 2:]
    known = torch.cat([values, facing], 1)
    seen = interpolate(known, mesh.faces[raster.triangles[is_body]], raster.barycentrics[is_body])
    shade = AMBIENT + (1 - AMBIENT) * seen[:, -1:].clamp(0, 1).numpy()
    picture = np.zeros((camera.height, camera.width, 4), np.uint8)
    colours = paint(seen[:, :-1]) * shade
    picture[is_body.numpy()] = np.column_stack([colours, np.full(len(colours), 255)]).astype(np.uint8)
    return picture
