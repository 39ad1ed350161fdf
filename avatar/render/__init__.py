"""A scene and a camera to an image. ``render`` holds the only dispatch on the kind of scene."""

from .cameras import framing_distance, orbit
from .rendering import Backend, Device, RenderConfig, load_backend, render

__all__ = ["Backend", "Device", "RenderConfig", "framing_distance", "load_backend", "orbit", "render"]
