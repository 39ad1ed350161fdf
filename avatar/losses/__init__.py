"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .surface import SurfaceConfig, SurfaceTerms

__all__ = ["LossConfig", "Losses", "SurfaceConfig", "SurfaceTerms", "compare"]
