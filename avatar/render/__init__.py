"""A scene and a camera to an image. ``render`` holds the only dispatch on the kind of scene."""

from .rendering import RenderConfig, render

__all__ = ["RenderConfig", "render"]
