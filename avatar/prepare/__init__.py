"""From synchronised videos and their calibration to what a body is fitted to: landmarks, masks and cameras."""

from .board_notes import BoardPictures
from .body_fit import BodyFitConfig, fit_body
from .bundle import Bundle, BundleConfig, refine_cameras
from .camera_motion import CameraMotion, camera_motion, follow_scene
from .field_of_view import FieldOfView, estimated_field_of_view, recorded_field_of_view
from .findings_file import read_findings, write_findings
from .first_clocks import PeopleFilmed, first_clocks
from .folder import open_folder
from .frame_shifts import FrameShifts, find_frame_shifts
from .intrinsics import IntrinsicsDoubt, doubt_intrinsics
from .landmarks import LandmarkConfig, Landmarker, Person
from .letterbox import Letterbox, fit_to_video
from .masks import CleanPlate, Foreground, MaskConfig, clean_plate, foreground
from .monocular import MonocularConfig, Placement, place_person
from .observations import CameraFindings, Findings, FittedBody, MaskLoader, Observations
from .one_person import OnePerson, PersonAt, first_moments, follow_one, wanted_person
from .outline_cameras import OutlineConfig, cameras_by_outlines
from .people import PeopleConfig, find_people
from .pipeline import PrepareConfig, prepare
from .region import Region
from .report import write_report
from .same_person import MatchedPerson, PeopleSeen, match_people
from .sightings import Sightings
from .solve import Refine
from .straight_edges import EdgeCheck, check_edges, doubt_distortion
from .synchronise import MotionSignal, Synchronisation, landmark_motion, synchronise
from .triangulate import BoneLength, Triangulation, bone_lengths, triangulate
from .undistort import Undistorter
from .video import VideoConfig, VideoFrame, read_video, synchronised_frames

__all__ = [
    "BoardPictures",
    "BodyFitConfig",
    "BoneLength",
    "Bundle",
    "BundleConfig",
    "CameraFindings",
    "CameraMotion",
    "CleanPlate",
    "EdgeCheck",
    "FieldOfView",
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
    "MatchedPerson",
    "MonocularConfig",
    "MotionSignal",
    "Observations",
    "OnePerson",
    "OutlineConfig",
    "PeopleConfig",
    "PeopleFilmed",
    "PeopleSeen",
    "Person",
    "PersonAt",
    "Placement",
    "PrepareConfig",
    "Refine",
    "Region",
    "Sightings",
    "Synchronisation",
    "Triangulation",
    "Undistorter",
    "VideoConfig",
    "VideoFrame",
    "bone_lengths",
    "camera_motion",
    "cameras_by_outlines",
    "check_edges",
    "clean_plate",
    "doubt_distortion",
    "doubt_intrinsics",
    "estimated_field_of_view",
    "find_frame_shifts",
    "find_people",
    "first_clocks",
    "first_moments",
    "fit_body",
    "fit_to_video",
    "follow_one",
    "follow_scene",
    "foreground",
    "landmark_motion",
    "match_people",
    "open_folder",
    "place_person",
    "prepare",
    "read_findings",
    "read_video",
    "recorded_field_of_view",
    "refine_cameras",
    "synchronise",
    "synchronised_frames",
    "triangulate",
    "wanted_person",
    "write_findings",
    "write_report",
]
