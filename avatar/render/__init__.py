"""A scene and a camera to an image. ``render`` holds the only dispatch on the kind of scene."""

from .backend import Backend, Device, RenderConfig, load_backend
from .cameras import framing_distance, orbit
from .exposure import Exposure
from .field_surface import frontal_colors, surface_of
from .mesh_view import MeshView, view_mesh
from .normal_map import normal_map
from .rays import camera_rays, pixel_centres, render_rays
from .rendering import render
from .visibility import visible_cosines

__all__ = [
    "Backend",
    "Device",
    "Exposure",
    "MeshView",
    "RenderConfig",
    "camera_rays",
    "framing_distance",
    "frontal_colors",
    "load_backend",
    "normal_map",
    "orbit",
    "pixel_centres",
    "render",
    "render_rays",
    "surface_of",
    "view_mesh",
    "visible_cosines",
]
