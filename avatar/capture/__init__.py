"""Captures on disk to :class:`avatar.structs.Capture` and back. Nothing else knows a capture's file format."""

from .door_checks import check_person, first_time_step
from .errors import FIT_BODY, CaptureError, MissingFileError
from .pictures import PictureConfig, PictureLoader
from .reader import read_capture
from .restricted_pickle import load_npy_dict
from .selection import selected
from .smpl_poses import NO_BODY, SmplPoses
from .writer import FileOf, write_capture
from .zju_mocap import read_zju_mocap
from .zju_published import ZJU_RIG
from .zju_subjects import SUBJECTS
from .zju_writer import write_zju_mocap

__all__ = [
    "FIT_BODY",
    "NO_BODY",
    "SUBJECTS",
    "ZJU_RIG",
    "CaptureError",
    "FileOf",
    "MissingFileError",
    "PictureConfig",
    "PictureLoader",
    "SmplPoses",
    "check_person",
    "first_time_step",
    "load_npy_dict",
    "read_capture",
    "read_zju_mocap",
    "selected",
    "write_capture",
    "write_zju_mocap",
]
