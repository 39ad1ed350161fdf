"""Captures on disk to :class:`avatar.structs.Capture` and back. Nothing else knows a capture's file format."""

from .door_checks import check_person, first_time_step
from .errors import CaptureError, MissingFileError
from .pictures import PictureConfig
from .reader import read_capture
from .restricted_pickle import load_npy_dict
from .smpl_poses import NO_BODY, SmplPoses
from .writer import write_capture
from .zju_mocap import read_zju_mocap
from .zju_subjects import SUBJECTS

__all__ = [
    "NO_BODY",
    "SUBJECTS",
    "CaptureError",
    "MissingFileError",
    "PictureConfig",
    "SmplPoses",
    "check_person",
    "first_time_step",
    "load_npy_dict",
    "read_capture",
    "read_zju_mocap",
    "write_capture",
]
