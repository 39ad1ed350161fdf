"""From synchronised videos and their calibration to what a body is fitted to: landmarks, masks and cameras."""

from .landmarks import LandmarkConfig, Landmarker, Person, track
from .masks import CleanPlate, Foreground, MaskConfig, clean_plate, foreground
from .region import Region

__all__ = [
    "CleanPlate",
    "Foreground",
    "LandmarkConfig",
    "Landmarker",
    "MaskConfig",
    "Person",
    "Region",
    "clean_plate",
    "foreground",
    "track",
]
