"""The pose from which a clip's rotations are counted, where the file's own is none a person would stand in."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import conjugate_quats, multiply_quats, normalize_quats
from avatar.structs import Clip

from .hierarchy import local_turns, posed_joints, world_turns
from .joint_names import Parts, body_parts

_LIMBS = ("upper_arm", "lower_arm", "upper_leg", "lower_leg")
_NEXT = {"upper_arm": "lower_arm", "lower_arm": "hand", "upper_leg": "lower_leg", "lower_leg": "foot"}
STANDING = 0.8  # cosine between a standing person's legs and straight down, at least
T_POSE = 0.9  # the same for arms and level
LEAP_RAD = 0.35  # turn of the limbs from one frame to the next that no person makes


def with_reference(clip: Clip) -> Clip:
    """The same motion, counted from a pose in which the person stands upright.

    A first frame in T-pose that the second leaps away from is a reference that some programs write: it becomes the rest
    pose and is cut off. Otherwise the file's rest pose stays if a person stands in it, else the most upright frame
    takes its place.
    """
    parts = body_parts(clip.skeleton)
    turns, places = posed_joints(clip.skeleton, clip.local_quats, clip.root_position_world)
    if len(places) > 1 and _is_t_pose(places[0], parts) and _leap(turns, parts) > LEAP_RAD:
        note = "its first frame, a T-pose, is taken as the rest pose and left out"
        return replace(_rows(_counted_from(clip, 0), 1, None), notes=(*clip.notes, note))
    if uprightness(clip.skeleton.joints_rest[None], parts)[0] >= STANDING:
        return clip
    upright = uprightness(places, parts)
    best = int(upright.argmax())
    if upright[best] < STANDING:
        return replace(clip, notes=(*clip.notes, "no pose in it stands upright; its rest pose is used as it is"))
    note = f"nobody stands in its rest pose; the most upright frame, {best}, is taken instead"
    return replace(_counted_from(clip, best), notes=(*clip.notes, note))


def uprightness(places: Float[Tensor, "f j 3"], parts: Parts) -> Float[Tensor, " f"]:
    """How far down both legs point and up the head, as the least cosine; 1 where the joints are missing."""
    down = places.new_tensor([0.0, 0.0, -1.0])
    lowest = places.new_ones(len(places))
    for start, end, way in (
        ("left_upper_leg", "left_foot", down),
        ("right_upper_leg", "right_foot", down),
        ("hips", "head", -down),
    ):
        if start in parts and end in parts:
            bones = places[:, parts[end][0][0]] - places[:, parts[start][0][0]]
            lowest = torch.minimum(lowest, bones @ way / bones.norm(dim=-1).clamp(min=1e-9))
    return lowest


def _is_t_pose(places: Float[Tensor, "j 3"], parts: Parts) -> bool:
    if uprightness(places[None], parts)[0] < T_POSE:
        return False
    for side in ("left", "right"):
        arm, hand = parts.get(f"{side}_upper_arm"), parts.get(f"{side}_hand")
        if arm is None or hand is None:
            return False
        bone = places[hand[0][0]] - places[arm[0][0]]
        if bone[:2].norm() < T_POSE * bone.norm():
            return False
    return True


def _leap(turns: Float[Tensor, "f j 4"], parts: Parts) -> float:
    """Mean angle of the limbs between the first two frames."""
    limbs = [rows[0][0] for part, rows in parts.items() if part.partition("_")[2] in _LIMBS]
    cosines = (turns[0, limbs] * turns[1, limbs]).sum(-1).abs().clamp(max=1)
    return float((2 * torch.arccos(cosines)).mean())


def _counted_from(clip: Clip, frame: int) -> Clip:
    """The same motion with the pose of this frame as rest pose."""
    parents = clip.skeleton.parents
    one = _rows(clip, frame, frame + 1)
    turns, places = posed_joints(one.skeleton, one.local_quats, one.root_position_world)
    turns = multiply_quats(world_turns(parents, clip.local_quats), conjugate_quats(turns))
    skeleton = replace(clip.skeleton, joints_rest=places[0] - places[0, 0])
    return replace(clip, skeleton=skeleton, local_quats=local_turns(parents, normalize_quats(turns)))


def _rows(clip: Clip, start: int, stop: int | None) -> Clip:
    return replace(
        clip, local_quats=clip.local_quats[start:stop], root_position_world=clip.root_position_world[start:stop]
    )
