"""A scene and a camera to an image. ``render`` holds the only dispatch on the kind of scene."""

from .cameras import framing_distance, orbit
from .rendering import RenderConfig, render

__all__ = ["RenderConfig", "framing_distance", "orbit", "render"]
