"""One skeleton's motion for another.

Rotations are carried over in the world. With ``G`` a source joint's rotation from its rest pose, and ``A`` what turns
the target's rest pose so that its limbs point where the source's do, the target joint turns by ``G A``: both bodies
then move alike from the same pose, however their own rest poses differ. Trunk, shoulders, head and feet are in the
same place in everybody's upright pose, although their joints are not: there ``A`` is only the way the source faces.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import multiply_quats, normalize_quats, rotate_points, slerp
from avatar.structs import Clip, Motion, Pose, Skeleton, map_tensors

from .ground import TouchPoints, ground_height
from .hierarchy import local_turns, posed_joints
from .joint_names import FINGERS, SIDES, Parts, body_parts
from .reference import with_reference

SHORTEST_M = 1e-6

_SPREAD = ("spine", "neck", "clavicle")
"""Parts of several joints that bend a little each."""
_POINTING = {
    "upper_arm": ("lower_arm",),
    "lower_arm": ("hand",),
    "hand": ("middle", "index", "fingers", "ring"),
    "upper_leg": ("lower_leg",),
    "lower_leg": ("foot",),
}
"""Parts that A lets point as the source's do, and which part each points to."""
_CHAINS = (*_POINTING, "foot", "head")
"""Parts of several joints of which the last moves the whole."""
_INSTEAD = {"pelvis": ("pelvis",), "fingers": ("middle", "index")} | dict.fromkeys(FINGERS[1:], ("fingers",))
"""Which part of the source moves one of the target that it does not have."""


@dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """How a motion becomes another skeleton's.

    Attributes:
        ground: "clip" lifts the whole motion so that the feet stand on the ground at height zero, "frame" every time
            step for itself, "none" leaves the height as it is.
        frame_rate_hz: time steps a second of the outcome, and of files that do not say theirs; None for the file's.
    """

    ground: Literal["clip", "frame", "none"] = "clip"
    frame_rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.ground not in ("clip", "frame", "none"):
            raise ValueError(f"RetargetConfig.ground: expected clip, frame or none, got {self.ground!r}")
        if self.frame_rate_hz is not None and not 1 <= self.frame_rate_hz <= 1000:
            raise ValueError(f"RetargetConfig.frame_rate_hz: expected 1 to 1000, got {self.frame_rate_hz}")


@dataclass(frozen=True, kw_only=True)
class RetargetReport:
    """What became of a motion's joints.

    Attributes:
        source: name of the motion file.
        mapped: joints of the target, each with the joint of the source that moves it.
        unmapped_source: joints of the source that move nothing, nor carry one that does.
        resting_target: joints of the target that stay as at rest against their parents.
        scale: what the root's path was multiplied by, the ratio of the lengths of the legs.
        ground_shift_m: how far the motion was lifted; the mean where every time step has its own.
        frames, frame_rate_hz: of the outcome.
        notes: what was assumed.
    """

    source: str
    mapped: tuple[tuple[str, str], ...]
    unmapped_source: tuple[str, ...]
    resting_target: tuple[str, ...]
    scale: float
    ground_shift_m: float
    frames: int
    frame_rate_hz: float
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Retargeted:
    """A motion of the target: poses over time, time steps a second, and how it came about."""

    poses: Pose
    frame_rate_hz: float
    report: RetargetReport


@dataclass(frozen=True, kw_only=True)
class _Mover:
    """The source joint that moves a target joint, ``share`` of the way to it from another."""

    joint: int
    other: int
    share: float = 1.0


def retarget(
    clip: Clip, target: Skeleton, config: RetargetConfig | None = None, touch: TouchPoints | None = None
) -> Retargeted:
    """``clip`` as a motion of ``target``, float32.

    ``touch`` are the points that stand on the ground, by default the joints. Raises ValueError when the clip's joints
    are none that a person has.
    """
    config = config or RetargetConfig()
    clip = resampled(with_reference(map_tensors(clip, Tensor.double)), config.frame_rate_hz)
    target = replace(target, joints_rest=target.joints_rest.double())
    theirs, ours = body_parts(clip.skeleton), body_parts(target)
    movers = _movers(clip.skeleton, target, theirs, ours)
    if len(movers) < 2:
        raise ValueError(f"{clip.name}: its joints are no person's: {', '.join(clip.skeleton.joint_names)[:200]}")
    aligned = _aligned(clip.skeleton, target, theirs, ours)
    source_turns, source_places = posed_joints(clip.skeleton, clip.local_quats, clip.root_position_world)
    turns = _carried(source_turns, movers, aligned, target.parents)
    scale = _leg_length(target, ours) / _leg_length(clip.skeleton, theirs)
    quats = local_turns(target.parents, turns)
    at_origin = posed_joints(target, quats, quats.new_zeros(len(quats), 3))[1]
    path = _hip_centre(source_places, theirs) * scale - _hip_centre(at_origin, ours)
    poses = Pose(local_quats=quats, root_position_world=path)
    poses, shift = _grounded(poses, target, config, touch or TouchPoints.of_joints(target))
    return Retargeted(
        poses=map_tensors(poses, Tensor.float),
        frame_rate_hz=clip.frame_rate_hz,
        report=_report(clip, target, movers, scale, shift),
    )


def resampled(clip: Clip, frame_rate_hz: float | None) -> Clip:
    """The clip at another frame rate, turned evenly between its own frames."""
    if frame_rate_hz is None or frame_rate_hz == clip.frame_rate_hz:
        return clip
    poses = Pose(local_quats=clip.local_quats, root_position_world=clip.root_position_world)
    count = len(clip.local_quats)
    motion = Motion(poses=poses, frame_ids=tuple(range(count)), frame_rate_hz=clip.frame_rate_hz, is_own=False)
    steps = int((count - 1) / clip.frame_rate_hz * frame_rate_hz + 1e-6) + 1
    between = motion.between(torch.arange(steps) / frame_rate_hz)
    return replace(
        clip,
        local_quats=torch.stack([pose.local_quats for pose in between]),
        root_position_world=torch.stack([pose.root_position_world for pose in between]),
        frame_rate_hz=frame_rate_hz,
    )


def _movers(source: Skeleton, target: Skeleton, theirs: Parts, ours: Parts) -> dict[int, _Mover]:
    """By target joint. Skeletons of the same names are mapped by them."""
    rows = {name: joint for joint, name in enumerate(source.joint_names)}
    if set(target.joint_names) <= set(rows):
        found = [rows[name] for name in target.joint_names]
        return {joint: _Mover(joint=row, other=row) for joint, row in enumerate(found)}
    movers: dict[int, _Mover] = {}
    for part, levels in ours.items():
        bare = _bare(part)
        side = part.removesuffix(bare)
        names = (part, *(name for instead in _INSTEAD.get(bare, ()) for name in (f"{side}{instead}", instead)))
        sources = next((theirs[name] for name in names if name in theirs), None)
        for level, joints in enumerate(levels):
            mover = _mover(source, bare, sources, level, len(levels)) if sources else None
            movers |= {joint: mover for joint in joints if mover}
    return movers


def _mover(source: Skeleton, bare: str, levels: Sequence[Sequence[int]], level: int, count: int) -> _Mover | None:
    """What moves level ``level`` of ``count`` of a part that the source has in ``levels``."""
    whole = (level + 1) * len(levels) / count
    row = math.ceil(whole) - 1 if bare in (*_SPREAD, *_CHAINS) else level
    if row >= len(levels):
        return None
    joint = levels[row][0]
    if bare not in _SPREAD:
        return _Mover(joint=joint, other=joint)
    before = levels[row - 1][0] if row else max(source.parents[joint], 0)
    return _Mover(joint=joint, other=before, share=whole - row)


def _bare(part: str) -> str:
    return part.removeprefix("left_").removeprefix("right_")


def _aligned(source: Skeleton, target: Skeleton, theirs: Parts, ours: Parts) -> Float[Tensor, "j 4"]:
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
        bare = _bare(part)
        if bare in _POINTING:
            ends = [f"{part.removesuffix(bare)}{end}" for end in _POINTING[bare]]
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


def _carried(
    turns: Float[Tensor, "f s 4"], movers: Mapping[int, _Mover], aligned: Float[Tensor, "j 4"], parents: Sequence[int]
) -> Float[Tensor, "f j 4"]:
    """``G_j`` of every target joint; those that nothing moves go along with their parents."""
    carried: list[Tensor] = []
    for joint, parent in enumerate(parents):
        if mover := movers.get(joint):
            turn = turns[:, mover.joint]
            if mover.share < 1:
                turn = slerp(turns[:, mover.other], turn, mover.share)
            carried.append(multiply_quats(turn, aligned[joint]))
        else:
            carried.append(carried[parent] if parent >= 0 else aligned[joint].expand(len(turns), 4))
    return normalize_quats(torch.stack(carried, 1))


def _leg_length(skeleton: Skeleton, parts: Parts) -> float:
    """Mean length of the legs from hip to ankle; the skeleton's height where it has none."""
    rest, lengths = skeleton.joints_rest, []
    for side in SIDES:
        names = [f"{side}_{part}" for part in ("upper_leg", "lower_leg", "foot")]
        if all(name in parts for name in names):
            hip, knee, ankle = (rest[parts[name][0][0]] for name in names)
            lengths.append(float((knee - hip).norm() + (ankle - knee).norm()))
    length = sum(lengths) / len(lengths) if lengths else float((rest.amax(0) - rest.amin(0)).max())
    return max(length, SHORTEST_M)


def _hip_centre(places: Float[Tensor, "f j 3"], parts: Parts) -> Float[Tensor, "f 3"]:
    """Half way between the hip joints, which every skeleton has at the same place."""
    legs = [parts[name][0][0] for name in ("left_upper_leg", "right_upper_leg") if name in parts]
    return places[:, legs if len(legs) == 2 else [parts["hips"][0][0]]].mean(1)


def _grounded(poses: Pose, target: Skeleton, config: RetargetConfig, touch: TouchPoints) -> tuple[Pose, float]:
    """The poses on the ground, and how far they were lifted."""
    if config.ground == "none":
        return poses, 0.0
    lowest = touch.lowest(target, poses)
    height = lowest if config.ground == "frame" else torch.full_like(lowest, ground_height(lowest))
    lift = -height
    root = poses.root_position_world.clone()
    root[:, 2] += lift
    return replace(poses, root_position_world=root), float(lift.mean())


def _report(
    clip: Clip, target: Skeleton, movers: Mapping[int, _Mover], scale: float, ground_shift_m: float
) -> RetargetReport:
    ours, theirs = target.joint_names, clip.skeleton.joint_names
    carried = {joint for mover in movers.values() for joint in (mover.joint, mover.other)}
    for joint, parent in reversed(list(enumerate(clip.skeleton.parents))):
        carried |= {parent} if joint in carried else set()
    return RetargetReport(
        source=clip.name,
        mapped=tuple((ours[joint], theirs[movers[joint].joint]) for joint in sorted(movers)),
        unmapped_source=tuple(name for joint, name in enumerate(theirs) if joint not in carried),
        resting_target=tuple(name for joint, name in enumerate(ours) if joint not in movers),
        scale=scale,
        ground_shift_m=ground_shift_m,
        frames=len(clip.local_quats),
        frame_rate_hz=clip.frame_rate_hz,
        notes=clip.notes,
    )
