"""Clips as BVH files, which animation programs read."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.atomic import replacing
from avatar.geometry import matrices_from_quats
from avatar.structs import Clip, Skeleton

_FILE_FROM_HOUSE = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))  # y up
_UNITS_A_METRE = 100.0
_POSITIONS, _TURNS = "Xposition Yposition Zposition", "Zrotation Yrotation Xrotation"


def write_bvh(path: Path, clip: Clip) -> None:
    """Write a clip, whole or not at all: centimetres, y up, angles in the order z, y, x; to a millionth of each."""
    turn = torch.tensor(_FILE_FROM_HOUSE, dtype=torch.float64)
    matrices = turn @ matrices_from_quats(clip.local_quats.detach().cpu().double()) @ turn.mT
    places = clip.root_position_world.detach().cpu().double() @ turn.mT * _UNITS_A_METRE
    rest = clip.skeleton.joints_rest.detach().cpu().double() @ turn.mT * _UNITS_A_METRE
    order: list[int] = []
    lines = ["HIERARCHY", *_joint(clip.skeleton, rest, 0, order), "MOTION", f"Frames: {len(places)}"]
    lines.append(f"Frame Time: {1 / clip.frame_rate_hz:.9f}")
    rows = torch.cat([places, _angles_deg(matrices)[:, order].flatten(1)], 1)
    lines += [" ".join(f"{number:.6f}" for number in row) for row in rows.tolist()]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")


def _joint(skeleton: Skeleton, rest: Float[Tensor, "j 3"], joint: int, order: list[int], depth: int = 0) -> list[str]:
    """The block of a joint and of all below it; ``order`` takes them as they come."""
    order.append(joint)
    parent = skeleton.parents[joint]
    offset = rest[joint] - rest[parent] if parent >= 0 else torch.zeros(3)
    channels = f"3 {_TURNS}" if parent >= 0 else f"6 {_POSITIONS} {_TURNS}"
    lines = [f"{'JOINT' if parent >= 0 else 'ROOT'} {skeleton.joint_names[joint]}", "{"]
    lines += [f"  OFFSET {_numbers(offset)}", f"  CHANNELS {channels}"]
    children = [child for child, above in enumerate(skeleton.parents) if above == joint]
    for child in children:
        lines += _joint(skeleton, rest, child, order, depth + 1)
    if not children:
        lines += ["  End Site", "  {", f"    OFFSET {_numbers(offset / 2)}", "  }"]
    lines.append("}")
    return [f"  {line}" for line in lines] if depth else lines


def _numbers(offset: Tensor) -> str:
    return " ".join(f"{number:.6f}" for number in offset.tolist())


def _angles_deg(matrices: Float[Tensor, "f j 3 3"]) -> Float[Tensor, "f j 3"]:
    """About z, y and x: the matrix is their product in this order. At a quarter turn about y, x does not turn."""
    about_y = -matrices[..., 2, 0].clamp(-1, 1).asin()
    is_locked = matrices[..., 2, 0].abs() > 1 - 1e-12
    about_z = torch.atan2(matrices[..., 1, 0], matrices[..., 0, 0])
    about_z = torch.where(is_locked, torch.atan2(-matrices[..., 0, 1], matrices[..., 1, 1]), about_z)
    about_x = torch.atan2(matrices[..., 2, 1], matrices[..., 2, 2]).where(~is_locked, 0.0)
    return torch.rad2deg(torch.stack([about_z, about_y, about_x], -1))
