"""One skeleton's motion for another.

Rotations are carried over in the world. With ``G`` a source joint's rotation from its rest pose, and ``A`` what turns
the target's rest pose so that its limbs point where the source's do, the target joint turns by ``G A``: both bodies
then move alike from the same pose, however their own rest poses differ. Trunk, shoulders, head and feet are in the
same place in everybody's upright pose, although their joints are not: there ``A`` is only the way the source faces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import multiply_quats, normalize_quats, slerp
from avatar.structs import Clip, Motion, Pose, Skeleton, map_tensors

from .alignment import aligned_rest, leg_length
from .ground import TouchPoints, contact_height, ground_height
from .hierarchy import local_turns, posed_joints
from .joint_names import Parts, body_parts
from .movers import Mover, movers_between
from .reference import with_reference
from .report import RetargetReport

AT_ONCE = 1024  # time steps, which bounds the memory


@dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """How a motion becomes another skeleton's.

    Attributes:
        ground: "contact" puts the feet on the ground at height zero and takes out the slow drift of captures, "clip"
            lifts the whole motion alike, "frame" every time step for itself, "none" leaves the height as it is.
        frame_rate_hz: time steps a second of the outcome, and of files that do not say theirs; None for the file's.
    """

    ground: Literal["contact", "clip", "frame", "none"] = "contact"
    frame_rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.ground not in ("contact", "clip", "frame", "none"):
            raise ValueError(f"RetargetConfig.ground: expected contact, clip, frame or none, got {self.ground!r}")
        if self.frame_rate_hz is not None and not 1 <= self.frame_rate_hz <= 1000:
            raise ValueError(f"RetargetConfig.frame_rate_hz: expected 1 to 1000, got {self.frame_rate_hz}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Retargeted:
    """A motion of the target: poses over time, time steps a second, and how it came about."""

    poses: Pose
    frame_rate_hz: float
    report: RetargetReport


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
    movers = movers_between(clip.skeleton, target, theirs, ours)
    if len(movers) < 2:
        raise ValueError(f"{clip.name}: its joints are no person's: {', '.join(clip.skeleton.joint_names)[:200]}")
    aligned = aligned_rest(clip.skeleton, target, theirs, ours)
    scale = leg_length(target, ours) / leg_length(clip.skeleton, theirs)
    parts = []
    for quats, root in zip(clip.local_quats.split(AT_ONCE), clip.root_position_world.split(AT_ONCE), strict=True):
        source_turns, source_places = posed_joints(clip.skeleton, quats, root)
        made = local_turns(target.parents, _carried(source_turns, movers, aligned, target.parents))
        at_origin = posed_joints(target, made, torch.zeros_like(root))[1]
        path = _hip_centre(source_places, theirs) * scale - _hip_centre(at_origin, ours)
        parts.append((made.float(), path.float()))
    turns, path = (torch.cat(part) for part in zip(*parts, strict=True))
    poses = Pose(local_quats=turns, root_position_world=path)
    lowest = (touch or TouchPoints.of_joints(target)).lowest(target, poses)
    heights = _ground_heights(config, lowest, clip.frame_rate_hz)
    return Retargeted(
        poses=_grounded(poses, heights),
        frame_rate_hz=clip.frame_rate_hz,
        report=_report(clip, target, movers, scale, -float(heights.mean())),
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


def _carried(
    turns: Float[Tensor, "f s 4"], movers: Mapping[int, Mover], aligned: Float[Tensor, "j 4"], parents: Sequence[int]
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


def _hip_centre(places: Float[Tensor, "f j 3"], parts: Parts) -> Float[Tensor, "f 3"]:
    """Half way between the hip joints, which every skeleton has at the same place."""
    legs = [parts[name][0][0] for name in ("left_upper_leg", "right_upper_leg") if name in parts]
    return places[:, legs if len(legs) == 2 else [parts["hips"][0][0]]].mean(1)


def _grounded(poses: Pose, heights: Float[Tensor, " f"]) -> Pose:
    """The poses above a ground that was at these heights and is at zero now."""
    root = poses.root_position_world.clone()
    root[:, 2] -= heights
    return replace(poses, root_position_world=root)


def _ground_heights(config: RetargetConfig, lowest: Float[Tensor, " f"], frame_rate_hz: float) -> Float[Tensor, " f"]:
    match config.ground:
        case "contact":
            return contact_height(lowest, frame_rate_hz)
        case "clip":
            return torch.full_like(lowest, ground_height(lowest))
        case "frame":
            return lowest
        case "none":
            return torch.zeros_like(lowest)


def _report(
    clip: Clip, target: Skeleton, movers: Mapping[int, Mover], scale: float, ground_shift_m: float
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
