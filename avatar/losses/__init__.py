"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .motion import Arap, MotionConfig, MotionTerms
from .surface import SurfaceConfig, SurfaceTerms

__all__ = ["Arap", "LossConfig", "Losses", "MotionConfig", "MotionTerms", "SurfaceConfig", "SurfaceTerms", "compare"]
