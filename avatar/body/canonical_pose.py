"""The pose in which a canonical radiance field lives: at rest, but with legs apart to have space of their own."""

import math
from dataclasses import replace

import torch

from avatar.geometry import quats_from_axis_angles
from avatar.structs import Pose

from .rig import ShapedBody

_HIPS = (("LeftUpLeg", "RightUpLeg"), ("upperleg01.L", "upperleg01.R"), ("left_hip", "right_hip"))


def spread_pose(shaped: ShapedBody, angle_rad: float = math.pi / 6) -> Pose:
    """The rest pose with both hips turned outwards about the forward axis (MetaCap, Sun et al. 2024: 30 degrees).

    Raises ValueError for a rig whose hips it does not know.
    """
    names = shaped.rig.joint_names
    hips = next((pair for pair in _HIPS if set(pair) <= set(names)), None)
    if hips is None:
        raise ValueError(f"shaped.rig: expected hips called one of {_HIPS}, got joints {', '.join(names)}")
    pose = shaped.rest_pose()
    forward = pose.local_quats.new_tensor([0.0, -1.0, 0.0])
    turns = torch.stack([angle_rad * forward, -angle_rad * forward])
    rows = torch.tensor([names.index(name) for name in hips], device=turns.device)
    return replace(pose, local_quats=pose.local_quats.index_copy(0, rows, quats_from_axis_angles(turns)))
