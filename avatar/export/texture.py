"""The look of Gaussians as a picture on their mesh: pictures from all around, laid back onto the surface.

Every texel takes the colour that cameras see at its place, those most of all that look straight at it, and none from
which another part of the body hides it. What no camera sees takes the colour of the vertices around it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from avatar.engine import rasterize_mesh
from avatar.geometry import interpolate, project, transform_points, vertex_normals
from avatar.render import RenderConfig, framing_distance, orbit, render, view_mesh
from avatar.structs import Camera, Gaussians, Mesh


@dataclass(frozen=True, kw_only=True)
class BakeConfig:
    """How a texture is made.

    Attributes:
        size_px: width and height of the texture.
        view_px: height and width of the pictures that it is made of.
        elevations: of the circles of cameras above the horizon, radians, short of straight up and down.
        cameras: on each of these circles.
        sharpness: power of the cosine between normal and line of sight that a camera counts with.
        unseen_cosine: a camera that sees a place at this cosine counts as much as the colour of the vertices there.
        tolerance_m: how far behind the nearest surface a texel still counts as that surface.
    """

    size_px: int = 1024
    view_px: int = 768
    elevations: tuple[float, ...] = (-1.2, -0.5, 0.1, 0.7, 1.3)
    cameras: tuple[int, ...] = (4, 8, 12, 8, 4)
    sharpness: float = 10.0
    unseen_cosine: float = 0.3
    tolerance_m: float = 0.01

    def __post_init__(self) -> None:
        for name in ("size_px", "view_px", "sharpness", "unseen_cosine", "tolerance_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"BakeConfig.{name}: expected a positive number, got {getattr(self, name)}")
        if len(self.cameras) != len(self.elevations):
            raise ValueError(f"BakeConfig.cameras: expected {len(self.elevations)} numbers, got {len(self.cameras)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Texels:
    """The texels that lie on triangles, ``s`` of them, and where that is in space."""

    is_used: Bool[Tensor, "h w"]
    points: Float[Tensor, "s 3"]
    normals: Float[Tensor, "s 3"]
    colors: Float[Tensor, "s 3"]


@torch.no_grad()
def bake_texture(scene: Gaussians, surface: Mesh, config: BakeConfig | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """The sRGB texture of ``surface``, whose ``colors`` fill what no camera sees; the first row is at v = 1.

    Both in one frame and z up, metres. Texels of no triangle continue the nearest, so that no seam shows at any
    distance. Raises ValueError for a surface without texture coordinates.
    """
    config = config or BakeConfig()
    texels = _texels(surface, config.size_px)
    totals = config.unseen_cosine**config.sharpness * torch.cat(
        [texels.colors, torch.ones_like(texels.colors[:, :1])], 1
    )
    for camera in _cameras_around(surface, config):
        totals += _seen(scene, surface, texels, camera, config)
    colors = (totals[:, :3] / totals[:, 3:]).clamp(0, 1)
    image = np.zeros((config.size_px, config.size_px, 3), np.uint8)
    is_used = texels.is_used.cpu().numpy()
    image[is_used] = (colors * 255).round().byte().cpu().numpy()
    rows, columns = nearest = np.empty((2, *is_used.shape), np.int32)
    distance_transform_edt(~is_used, return_distances=False, return_indices=True, indices=nearest)
    return image[rows, columns]


def _texels(surface: Mesh, size_px: int) -> _Texels:
    """What lies under the centre of each texel."""
    if surface.uv is None or surface.uv_faces is None or surface.colors is None:
        raise ValueError("bake_texture: expected a surface with texture coordinates and colours")
    places = torch.stack([surface.uv[:, 0], 1 - surface.uv[:, 1]], 1) * size_px
    raster = rasterize_mesh(places, torch.ones_like(places[:, 0]), surface.uv_faces, size_px, size_px)
    is_used = raster.triangles >= 0
    corners, shares = surface.faces[raster.triangles[is_used]], raster.barycentrics[is_used]
    normals = vertex_normals(surface.vertices, surface.faces)
    return _Texels(
        is_used=is_used,
        points=interpolate(surface.vertices, corners, shares),
        normals=normalize(interpolate(normals, corners, shares), dim=1),
        colors=interpolate(surface.colors, corners, shares),
    )


def _cameras_around(surface: Mesh, config: BakeConfig) -> list[Camera]:
    """Cameras on circles around the surface, each as near as its picture allows."""
    points = surface.vertices[surface.faces.unique()]
    middle = (points.amin(0) + points.amax(0)) / 2
    cameras = []
    for elevation, count in zip(config.elevations, config.cameras, strict=True):
        targets, size = middle.expand(count, 3), {"height": config.view_px, "width": config.view_px}
        circle = orbit(targets, 1.0, elevation=elevation, **size)
        distance = framing_distance(points.expand(count, -1, 3), targets, circle)
        cameras += orbit(targets, distance, elevation=elevation, **size)
    return cameras


def _seen(scene: Gaussians, surface: Mesh, texels: _Texels, camera: Camera, config: BakeConfig) -> Float[Tensor, "s 4"]:
    """Colours that a camera sees at texels, times their weights, and the weights; zero for those it does not see."""
    image = render(scene, camera, RenderConfig())
    nearest = view_mesh(surface.vertices, surface.faces, camera).raster.depths
    pixels, depths = project(transform_points(camera.camera_from_world, texels.points), camera.intrinsics_px)
    sight = normalize(camera.centre_world - texels.points, dim=1)
    cosines = (texels.normals * sight).sum(1).clamp(min=0)
    columns, rows = pixels.long().clamp(min=0, max=config.view_px - 1).unbind(1)
    is_seen = depths < nearest[rows, columns] + config.tolerance_m
    seen = torch.cat([image.color.clamp(min=0), image.alpha[..., None]], 2).permute(2, 0, 1)
    places = (pixels * (2 / config.view_px) - 1)[None, None]
    sampled = grid_sample(seen[None], places, align_corners=False)[0, :, 0].mT
    return sampled * (cosines**config.sharpness * is_seen)[:, None]
