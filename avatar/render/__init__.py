"""A scene and a camera to an image. ``render`` holds the only dispatch on the kind of scene."""

from .cameras import framing_distance, orbit
from .exposure import Exposure
from .normal_map import normal_map
from .rendering import Backend, Device, RenderConfig, load_backend, render
from .visibility import visible_cosines

__all__ = [
    "Backend",
    "Device",
    "Exposure",
    "RenderConfig",
    "framing_distance",
    "load_backend",
    "normal_map",
    "orbit",
    "render",
    "visible_cosines",
]
