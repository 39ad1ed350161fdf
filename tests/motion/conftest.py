"""A person of another program, in T-pose, and motions of it."""

import math

import pytest
import torch

from avatar.geometry import normalize_quats, quats_from_axis_angles
from avatar.structs import Clip, Skeleton

JOINTS = {  # parent and place, metres: left, back, up
    "Hips": (None, (0, 0, 1.0)),
    "Spine": ("Hips", (0, 0, 1.1)),
    "Spine1": ("Spine", (0, 0, 1.25)),
    "Neck": ("Spine1", (0, 0.02, 1.5)),
    "Head": ("Neck", (0, 0, 1.6)),
    **{
        f"{side}{name}": (parent if parent in ("Hips", "Spine1") else f"{side}{parent}", (sign * x, y, z))
        for side, sign in (("Left", 1), ("Right", -1))
        for name, parent, (x, y, z) in (
            ("Shoulder", "Spine1", (0.05, 0, 1.45)),
            ("Arm", "Shoulder", (0.2, 0, 1.45)),
            ("ForeArm", "Arm", (0.47, 0, 1.45)),
            ("Hand", "ForeArm", (0.72, 0, 1.45)),
            ("HandIndex1", "Hand", (0.82, -0.03, 1.45)),
            ("HandIndex2", "HandIndex1", (0.86, -0.03, 1.45)),
            ("HandMiddle1", "Hand", (0.82, 0, 1.45)),
            ("HandMiddle2", "HandMiddle1", (0.86, 0, 1.45)),
            ("UpLeg", "Hips", (0.1, 0, 0.95)),
            ("Leg", "UpLeg", (0.1, 0, 0.52)),
            ("Foot", "Leg", (0.1, 0.02, 0.09)),
            ("ToeBase", "Foot", (0.1, -0.12, 0.02)),
        )
    },
}


@pytest.fixture
def mixamo() -> Skeleton:
    """A skeleton named as Mixamo's are, facing -Y."""
    names = list(JOINTS)
    return Skeleton(
        joint_names=tuple(names),
        parents=tuple(names.index(parent) if parent else -1 for parent, _ in JOINTS.values()),
        joints_rest=torch.tensor([place for _, place in JOINTS.values()], dtype=torch.float64),
    )


@pytest.fixture
def dance(mixamo: Skeleton) -> Clip:
    """Every joint turns at random, smoothly, by about half a radian, and the hips go round."""
    generator = torch.Generator().manual_seed(4)
    joints = len(mixamo.parents)
    times = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None, None]
    phases = 2 * math.pi * torch.rand(joints, 3, generator=generator, dtype=torch.float64)
    quats = normalize_quats(quats_from_axis_angles(0.4 * (2 * math.pi * times + phases).sin()))
    circle = torch.cat([0.5 * times[:, 0].cos(), 0.5 * times[:, 0].sin(), 1 + 0.1 * times[:, 0]], -1)
    return Clip(name="dance", skeleton=mixamo, local_quats=quats, root_position_world=circle, frame_rate_hz=30.0)
