"""The body from the front and from the back, coloured by how often it was seen."""

import math

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from avatar.geometry import interpolate, transform_directions, vertex_normals
from avatar.render import framing_distance, orbit, view_mesh
from avatar.structs import Camera

from .coverage import Coverage

HEIGHT_PX, WIDTH_PX = 900, 640
UNSEEN_BGR = (60, 66, 214)
COLOURS = cv2.COLORMAP_VIRIDIS  # from the fewest views to the most
AMBIENT = 0.55  # how much of the colour shows where the surface turns away


def coverage_picture(coverage: Coverage) -> UInt8[np.ndarray, "h w 4"]:
    """Front and back side by side, BGR and opacity; the colours are those of ``colour_scale``, red where never seen."""
    centre = coverage.template.vertices.aminmax(dim=0)
    targets = ((centre.min + centre.max) / 2).expand(2, 3)

    def cameras(distance_m: float) -> list[Camera]:
        return orbit(targets, distance_m, height=HEIGHT_PX, width=WIDTH_PX, elevation=0.0, start=-math.pi / 2)

    views = cameras(framing_distance(coverage.template.vertices.expand(2, -1, -1), targets, cameras(1.0)))
    return np.concatenate([_view(coverage, camera) for camera in views], 1)


def colour_scale() -> str:
    """The colours from seen least to seen most, as CSS."""
    stops = cv2.applyColorMap(np.linspace(0, 255, 7).astype(np.uint8)[:, None], COLOURS)[:, 0, ::-1]
    return f"linear-gradient(90deg, {', '.join(f'rgb({r} {g} {b})' for r, g, b in stops.tolist())})"


def _view(coverage: Coverage, camera: Camera) -> UInt8[np.ndarray, "h w 4"]:
    template = coverage.template
    raster = view_mesh(template.vertices, template.faces, camera).raster
    is_body = raster.triangles >= 0
    corners = template.faces[raster.triangles[is_body]]
    weights = raster.barycentrics[is_body]
    normals = vertex_normals(template.vertices, template.faces)
    facing = -transform_directions(camera.camera_from_world, normals)[:, 2]
    values = torch.stack([coverage.share, (coverage.num_cameras == 0).float(), facing], -1)
    share, unseen, light = interpolate(values, corners, weights).unbind(-1)
    level = (255 * (share / coverage.most).clamp(0, 1)).byte().numpy()[:, None]
    colours = cv2.applyColorMap(level, COLOURS)[:, 0].astype(np.float32)
    colours[(unseen > 0.5).numpy()] = UNSEEN_BGR
    shade = AMBIENT + (1 - AMBIENT) * light.clamp(0, 1).numpy()[:, None]
    picture = np.zeros((camera.height, camera.width, 4), np.uint8)
    picture[is_body.numpy()] = np.column_stack([colours * shade, np.full(len(colours), 255)]).astype(np.uint8)
    return picture
