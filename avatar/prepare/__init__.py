"""From synchronised videos and their calibration to what a body is fitted to: landmarks, masks and cameras."""

from .bundle import Bundle, BundleConfig, refine_cameras
from .intrinsics import IntrinsicsDoubt, doubt_intrinsics
from .landmarks import LandmarkConfig, Landmarker, Person, track
from .masks import CleanPlate, Foreground, MaskConfig, clean_plate, foreground
from .region import Region
from .synchronise import MotionSignal, Synchronisation, landmark_motion, picture_motion, synchronise
from .triangulate import BoneLength, Triangulation, bone_lengths, triangulate

__all__ = [
    "BoneLength",
    "Bundle",
    "BundleConfig",
    "CleanPlate",
    "Foreground",
    "IntrinsicsDoubt",
    "LandmarkConfig",
    "Landmarker",
    "MaskConfig",
    "MotionSignal",
    "Person",
    "Region",
    "Synchronisation",
    "Triangulation",
    "bone_lengths",
    "clean_plate",
    "doubt_intrinsics",
    "foreground",
    "landmark_motion",
    "picture_motion",
    "refine_cameras",
    "synchronise",
    "track",
    "triangulate",
]
