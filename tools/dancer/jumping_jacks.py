"""Jumping jacks of a plain skeleton: a motion file that comes with the project."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import quats_from_axis_angles
from avatar.structs import Clip, Skeleton

FRAME_RATE_HZ = 30.0
NUM_FRAMES, JACK_SECONDS = 96, 1.6
HIP_M, HOP_M = 0.93, 0.08
# Place at rest, in a T-pose, of the joints of the middle and the left, and what each hangs on; metres, z up.
_BODY = {
    "Hips": ((0.0, 0.0, HIP_M), None),
    "Spine": ((0.0, 0.0, 1.05), "Hips"),
    "Chest": ((0.0, 0.0, 1.22), "Spine"),
    "Neck": ((0.0, 0.02, 1.46), "Chest"),
    "Head": ((0.0, 0.0, 1.56), "Neck"),
    "LeftShoulder": ((0.03, 0.0, 1.40), "Chest"),
    "LeftArm": ((0.17, 0.02, 1.40), "LeftShoulder"),
    "LeftForeArm": ((0.44, 0.02, 1.40), "LeftArm"),
    "LeftHand": ((0.69, 0.02, 1.40), "LeftForeArm"),
    "LeftUpLeg": ((0.09, 0.0, 0.90), "Hips"),
    "LeftLeg": ((0.09, 0.0, 0.49), "LeftUpLeg"),
    "LeftFoot": ((0.09, 0.02, 0.08), "LeftLeg"),
    "LeftToeBase": ((0.09, -0.12, 0.02), "LeftFoot"),
}


def jumping_jacks() -> Clip:
    """Two of them: arms swing from the thighs to above the head, legs out and in, a hop between."""
    skeleton = _skeleton()
    phase = torch.arange(NUM_FRAMES, dtype=torch.float64) / FRAME_RATE_HZ * (2 * pi / JACK_SECONDS)
    openness = 0.5 - 0.5 * torch.cos(phase)  # 0 closed, 1 open
    hop = torch.sin(phase).square()
    turns = torch.zeros(NUM_FRAMES, len(skeleton.parents), 3, dtype=torch.float64)
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        arm, leg = -sign * (1.35 - 2.35 * openness), sign * 0.45 * openness
        for joint, axis, angle in (
            ("Arm", 1, -arm),
            ("ForeArm", 2, -sign * 0.25 * (1 - openness)),
            ("UpLeg", 1, -leg),
            ("UpLeg", 0, -0.35 * (1 - hop)),
            ("Leg", 0, 0.70 * (1 - hop)),
            ("Foot", 0, -0.35 * (1 - hop)),
            ("Foot", 1, leg),
        ):
            turns[:, skeleton.joint_names.index(f"{side}{joint}"), axis] += angle
    height = HIP_M - 0.10 * openness + HOP_M * hop
    root = torch.stack([torch.zeros_like(height), torch.zeros_like(height), height], 1)
    return Clip(
        name="jumping_jacks",
        skeleton=skeleton,
        local_quats=quats_from_axis_angles(turns),
        root_position_world=root,
        frame_rate_hz=FRAME_RATE_HZ,
    )


def _skeleton() -> Skeleton:
    right = {
        name.replace("Left", "Right"): ((-place[0], *place[1:]), parent and parent.replace("Left", "Right"))
        for name, (place, parent) in _BODY.items()
        if name.startswith("Left")
    }
    body = {**_BODY, **right}
    names = list(body)
    return Skeleton(
        joint_names=tuple(names),
        parents=tuple(-1 if parent is None else names.index(parent) for _, parent in body.values()),
        joints_rest=_places([place for place, _ in body.values()]),
    )


def _places(places: list[tuple[float, float, float]]) -> Float[Tensor, "j 3"]:
    return torch.tensor(places, dtype=torch.float64)
