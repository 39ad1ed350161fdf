"""Motions of a run: the poses that its avatar was fitted to, and all poses of its capture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avatar.model import HybridAvatar
from avatar.motion import RetargetReport
from avatar.runs import chosen_motion
from avatar.structs import Capture, Motion

from .contract import MotionInfo
from .runs import RunFolder

FITTED, CAPTURED = "fitted", "captured"
FITTED_NAME = "Fitted poses"


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedMotion:
    """A motion, what its user calls it, and lines for them."""

    name: str
    motion: Motion
    notes: Sequence[str] = ()


def motions_of(run: RunFolder, avatar: HybridAvatar, capture: Capture | None) -> dict[str, NamedMotion]:
    """The motions by id; that of the capture only where it has other poses than the avatar was fitted to."""
    fitted = chosen_motion(avatar, run.path, None)
    found = {FITTED: NamedMotion(name=FITTED_NAME, motion=fitted)}
    if capture is not None:
        captured = chosen_motion(avatar, run.path, capture)
        if captured.frame_ids != fitted.frame_ids or not captured.is_own:
            found[CAPTURED] = NamedMotion(name=f"All poses of {capture.name}", motion=captured)
    return found


def motion_infos(motions: Mapping[str, NamedMotion]) -> list[MotionInfo]:
    """What a list of motions shows."""
    return [
        MotionInfo(id=key, name=named.name, num_frames=len(motion.frame_ids), frame_rate_hz=motion.frame_rate_hz)
        for key, named in motions.items()
        if (motion := named.motion)
    ]


def report_lines(report: RetargetReport) -> list[str]:
    """What became of the joints of a motion file, line by line."""
    return [text if name == "note" else f"{name}: {text}" for name, text in report.rows()]
