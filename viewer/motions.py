"""Motions of a run: the poses that its avatar was fitted to, all poses of its capture, and files from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avatar.model import HybridAvatar
from avatar.motion import RetargetConfig, read_clip_bytes
from avatar.motions import motion_from_clip
from avatar.runs import chosen_motion
from avatar.structs import Capture, Motion

from .contract import MotionInfo
from .runs import RunFolder

FITTED, CAPTURED = "fitted", "captured"
FITTED_NAME = "Fitted poses"
FASTEST_HZ = 60.0  # screens show no more
MOST_FRAMES = 20_000


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


def motion_from_upload(avatar: HybridAvatar, file_name: str, content: bytes) -> NamedMotion:
    """The motion in a file, made the avatar's; notes say what became of its joints. ValueError as one line."""
    clip = read_clip_bytes(file_name, content)
    rate_hz = min(clip.frame_rate_hz, FASTEST_HZ)
    seconds = len(clip.local_quats) / clip.frame_rate_hz
    if seconds * rate_hz > MOST_FRAMES:
        raise ValueError(f"{file_name}: lasts {seconds:.0f} s; the viewer plays {MOST_FRAMES / rate_hz:.0f} s: cut it")
    motion, report = motion_from_clip(avatar, clip, RetargetConfig(frame_rate_hz=rate_hz))
    notes = [text if name == "note" else f"{name}: {text}" for name, text in report.rows()]
    return NamedMotion(name=file_name, motion=motion, notes=notes)
