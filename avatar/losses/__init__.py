"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .motion import MotionConfig, MotionTerms
from .surface import SurfaceConfig, SurfaceTerms

__all__ = ["LossConfig", "Losses", "MotionConfig", "MotionTerms", "SurfaceConfig", "SurfaceTerms", "compare"]
