"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .surface import stretch

__all__ = ["LossConfig", "Losses", "compare", "stretch"]
