"""From synchronised videos and their calibration to what a body is fitted to: landmarks, masks and cameras."""

from .body_fit import BodyFitConfig, fit_body
from .bundle import Bundle, BundleConfig, refine_cameras
from .frame_shifts import FrameShifts, find_frame_shifts
from .intrinsics import IntrinsicsDoubt, doubt_intrinsics
from .landmarks import LandmarkConfig, Landmarker, Person, track
from .letterbox import Letterbox, fit_to_video
from .masks import CleanPlate, Foreground, MaskConfig, clean_plate, foreground
from .observations import CameraFindings, Findings, FittedBody, MaskLoader, Observations
from .region import Region
from .report import write_report
from .synchronise import MotionSignal, Synchronisation, landmark_motion, picture_motion, synchronise
from .triangulate import BoneLength, Triangulation, bone_lengths, triangulate
from .undistort import Undistorter
from .video import VideoConfig, VideoFrame, read_video, synchronised_frames

__all__ = [
    "BodyFitConfig",
    "BoneLength",
    "Bundle",
    "BundleConfig",
    "CameraFindings",
    "CleanPlate",
    "Findings",
    "FittedBody",
    "Foreground",
    "FrameShifts",
    "IntrinsicsDoubt",
    "LandmarkConfig",
    "Landmarker",
    "Letterbox",
    "MaskConfig",
    "MaskLoader",
    "MotionSignal",
    "Observations",
    "Person",
    "Region",
    "Synchronisation",
    "Triangulation",
    "Undistorter",
    "VideoConfig",
    "VideoFrame",
    "bone_lengths",
    "clean_plate",
    "doubt_intrinsics",
    "find_frame_shifts",
    "fit_body",
    "fit_to_video",
    "foreground",
    "landmark_motion",
    "picture_motion",
    "read_video",
    "refine_cameras",
    "synchronise",
    "synchronised_frames",
    "track",
    "triangulate",
    "write_report",
]
