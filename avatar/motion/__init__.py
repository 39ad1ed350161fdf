"""Motions of other skeletons: files to clips, and clips to the poses of a skeleton of ours."""

from .bvh_writer import write_bvh
from .files import MAX_BYTES, MotionError
from .ground import TouchPoints, ground_height
from .joint_names import body_parts
from .reader import SUFFIXES, read_clip, read_clip_bytes
from .report import RetargetReport
from .retarget import RetargetConfig, Retargeted, resampled, retarget
from .stored import write_clip

__all__ = [
    "MAX_BYTES",
    "SUFFIXES",
    "MotionError",
    "RetargetConfig",
    "RetargetReport",
    "Retargeted",
    "TouchPoints",
    "body_parts",
    "ground_height",
    "read_clip",
    "read_clip_bytes",
    "resampled",
    "retarget",
    "write_bvh",
    "write_clip",
]
