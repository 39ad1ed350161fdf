"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .surface import Stretch

__all__ = ["LossConfig", "Losses", "Stretch", "compare"]
