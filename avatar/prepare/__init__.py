"""From synchronised videos and their calibration to what a body is fitted to: landmarks, masks and cameras."""

from .landmarks import LandmarkConfig, Landmarker, Person, track
from .region import Region

__all__ = ["LandmarkConfig", "Landmarker", "Person", "Region", "track"]
