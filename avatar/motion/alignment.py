"""How one skeleton's rest pose is turned to stand as another's does."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import multiply_quats, normalize_quats, rotate_points
from avatar.structs import Skeleton

from .joint_names import FINGERS, SIDES, Parts, bare_part

SHORTEST_M = 1e-6

POINTING = {
    "upper_arm": ("lower_arm",),
    "lower_arm": ("hand",),
    "hand": ("middle", "index", "fingers", "ring"),
    "upper_leg": ("lower_leg",),
    "lower_leg": ("foot",),
}
"""Parts that A lets point as the source's do, and which part each points to."""


def aligned_rest(source: Skeleton, target: Skeleton, theirs: Parts, ours: Parts) -> Float[Tensor, "j 4"]:
    """What turns each joint of the target's rest pose so that limbs point as in the source's."""
    facing = _turn_between(_leftward(target, ours), _leftward(source, theirs))
    their_bones, our_bones = _bones(source, theirs), _bones(target, ours)
    bones = {ours[part][level][0]: (part, level) for part, level in our_bones if (part, level) in their_bones}
    feet = {joint for side in SIDES for joint in ours.get(f"{side}_foot", [[]])[0]}
    turns: list[Tensor] = []
    for joint, parent in enumerate(target.parents):
        turn = facing if parent < 0 or joint in feet else turns[parent]
        if joint in bones:
            bone = rotate_points(turn, our_bones[bones[joint]])
            turn = multiply_quats(_turn_between(bone, their_bones[bones[joint]]), turn)
        turns.append(turn)
    return torch.stack(turns)


def _bones(skeleton: Skeleton, parts: Parts) -> dict[tuple[str, int], Float[Tensor, " 3"]]:
    """For each part and level that points somewhere, where to, in the rest pose."""
    rest = skeleton.joints_rest
    bones = {}
    for part, levels in parts.items():
        bare = bare_part(part)
        if bare in POINTING:
            ends = [f"{part.removesuffix(bare)}{end}" for end in POINTING[bare]]
            places = [rest[parts[end][0][0]] for end in ends if end in parts]
            if places:
                bones[part, 0] = torch.stack(places).mean(0) - rest[levels[0][0]]
        if bare in FINGERS:
            for level, (start, end) in enumerate(pairwise(levels)):
                bones[part, level] = rest[end[0]] - rest[start[0]]
    return {key: bone for key, bone in bones.items() if bone.norm() > SHORTEST_M}


def _leftward(skeleton: Skeleton, parts: Parts) -> Float[Tensor, " 3"]:
    """From the right hip and shoulder to the left, level; +X where they are missing."""
    leftward = skeleton.joints_rest.new_zeros(3)
    for left in ("left_upper_leg", "left_upper_arm"):
        right = left.replace("left", "right")
        if left in parts and right in parts:
            leftward += skeleton.joints_rest[parts[left][0][0]] - skeleton.joints_rest[parts[right][0][0]]
    leftward[2] = 0
    return leftward if leftward.norm() > SHORTEST_M else leftward.new_tensor([1.0, 0.0, 0.0])


def _turn_between(start: Float[Tensor, " 3"], end: Float[Tensor, " 3"]) -> Float[Tensor, " 4"]:
    """The shortest turn from one direction to another."""
    start, end = start / start.norm(), end / end.norm()
    cosine = (start @ end)[None]
    if cosine < 1e-9 - 1:  # any half turn across; about the vertical for level directions
        across = torch.linalg.cross(start, start.new_tensor([0.0, 0.0, 1.0]))
        across = torch.linalg.cross(start, across if across.norm() > 0.1 else start.new_tensor([1.0, 0.0, 0.0]))
        return normalize_quats(torch.cat([0 * cosine, across]))
    return normalize_quats(torch.cat([1 + cosine, torch.linalg.cross(start, end)]))


def leg_length(skeleton: Skeleton, parts: Parts) -> float:
    """Mean length of the legs from hip to ankle; the skeleton's height where it has none."""
    rest, lengths = skeleton.joints_rest, []
    for side in SIDES:
        names = [f"{side}_{part}" for part in ("upper_leg", "lower_leg", "foot")]
        if all(name in parts for name in names):
            hip, knee, ankle = (rest[parts[name][0][0]] for name in names)
            lengths.append(float((knee - hip).norm() + (ankle - knee).norm()))
    length = sum(lengths) / len(lengths) if lengths else float((rest.amax(0) - rest.amin(0)).max())
    return max(length, SHORTEST_M)
