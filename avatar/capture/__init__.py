"""Captures on disk to :class:`avatar.structs.Capture` and back. Nothing else knows a capture's file format."""

from .errors import CaptureError, MissingFileError
from .pictures import PictureConfig
from .reader import read_capture
from .restricted_pickle import load_npy_dict
from .writer import write_capture
from .zju_mocap import read_zju_mocap

__all__ = [
    "CaptureError",
    "MissingFileError",
    "PictureConfig",
    "load_npy_dict",
    "read_capture",
    "read_zju_mocap",
    "write_capture",
]
