"""A little dance: every joint's rotation is a smooth function of time."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import ShapedBody
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.structs import Pose

BEAT_SECONDS = 1.6
SOLE_M = 0.015
"""Thickness of the shoes' soles, metres."""

Angles = dict[str, tuple[Tensor, Tensor, Tensor]]
"""By joint: rotations about x (to her left), y (backwards) and z (up) of the rest pose, radians, x first."""


def dance(person: ShapedBody, times: Float[Tensor, " f"]) -> Pose:
    """Poses at ``times``, seconds: steps, swinging arms, turns; the shoes stand on the floor z = 0."""
    phase = times * (2 * pi / BEAT_SECONDS)
    angles = _trunk(phase) | _limbs("L", 1.0, phase) | _limbs("R", -1.0, phase + pi)
    quats = person.rest_pose().local_quats.repeat(len(times), 1, 1)
    for joint, about in angles.items():
        turns = quats_from_axis_angles(torch.diag_embed(torch.stack(torch.broadcast_tensors(*about), -1)))
        about_x, about_y, about_z = turns.expand(len(times), 3, 4).unbind(-2)
        quats[:, person.rig.joint_names.index(joint)] = multiply_quats(about_z, multiply_quats(about_y, about_x))
    level = torch.stack([0.10 * torch.sin(phase * 0.5), 0.05 * torch.cos(phase * 0.4), torch.zeros_like(times)], -1)
    poses = Pose(local_quats=quats, root_position_world=level)
    lows = [person.posed(poses[frame]).vertices_world[:, 2].min() for frame in range(len(times))]
    level[:, 2] = SOLE_M - torch.stack(lows)
    return poses


def _trunk(phase: Tensor) -> Angles:
    """Turning on the spot, hips that swing, a chest that answers and a head that stays ahead of the turn."""
    none = torch.zeros_like(phase)
    turn, swing = 0.9 * torch.sin(phase * 0.42 - 0.5), torch.sin(phase)
    angles = {"root": (none, 0.07 * swing, turn)}
    for joint in ("spine04", "spine03", "spine02", "spine01"):
        angles[joint] = (-0.03 + 0.025 * torch.cos(phase * 0.7), -0.06 * swing, 0.10 * torch.sin(phase * 0.8 + 1.0))
    for joint in ("neck01", "neck02", "head"):
        angles[joint] = (0.04 * torch.sin(2 * phase), 0.04 * swing, 0.12 * torch.sin(phase * 0.42 + 0.6))
    return angles


def _limbs(letter: str, side: float, phase: Tensor) -> Angles:
    """An arm and the leg of the same side; ``side`` is 1 on the left, -1 on the right, ``phase`` half a turn apart."""
    none = torch.zeros_like(phase)
    step = (0.5 + 0.5 * torch.sin(phase)) ** 2
    hip, knee = 0.12 + 0.75 * step, 0.25 + 0.95 * step
    spread = -side * (0.04 + 0.10 * step)
    ankle = hip - knee + 0.45 * step
    rise = 0.50 + 0.85 * torch.sin(phase * 0.63 + side * 0.4)
    reach = 0.25 + 0.45 * torch.sin(phase + 2.2)
    elbow = 0.65 + 0.50 * torch.sin(phase * 0.9 + 1.0)
    leg = {
        "upperleg01": (-hip, spread, side * 0.15 * step),
        "lowerleg01": (knee, none, none),
        "foot": (ankle, none, none),
    }
    arm = {
        "clavicle": (none, -side * 0.10 * rise, none),
        "shoulder01": (none, -side * 0.15 * rise, none),
        "upperarm01": (-0.5 * reach, -side * 0.75 * rise, -side * 0.3 * reach),
        "lowerarm01": (-0.7 * elbow, none, -side * 0.5 * elbow),
        "wrist": (0.25 * torch.sin(phase * 1.3), none, none),
    }
    return {f"{joint}.{letter}": about for joint, about in (leg | arm).items()}
