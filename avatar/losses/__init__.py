"""Rendering and Frame to scalar terms."""

from .image import LossConfig, Losses, compare
from .motion import Arap, MotionConfig, MotionTerms
from .rays import RayLossConfig, RayLosses, compare_rays
from .surface import SurfaceConfig, SurfaceTerms

__all__ = [
    "Arap",
    "LossConfig",
    "Losses",
    "MotionConfig",
    "MotionTerms",
    "RayLossConfig",
    "RayLosses",
    "SurfaceConfig",
    "SurfaceTerms",
    "compare",
    "compare_rays",
]
