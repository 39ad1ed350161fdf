"""What a run folder says about its fit, and where the motions of its avatar come from."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from avatar.atomic import replacing
from avatar.capture import PictureConfig
from avatar.captures import open_capture
from avatar.model import Avatar
from avatar.structs import Capture, Motion

RECORD = "fit.json"
FRAME_RATE_HZ = 30.0  # of a lone checkpoint, which does not say its capture's


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Which fit a run folder holds.

    Attributes:
        recipe, seed: what was fitted, and from which random start.
        capture, split: names of the pictures it was fitted to.
        frame_rate_hz: time steps a second of the capture.
        capture_folder: where the pictures were then. They may have moved since, so it does not tell fits apart.
    """

    recipe: str
    seed: int
    capture: str
    split: str
    frame_rate_hz: float
    capture_folder: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        names = (self.recipe, self.capture, self.split, self.capture_folder or "")
        if not all(isinstance(name, str) for name in names) or not 0 < self.frame_rate_hz < math.inf:
            raise ValueError("RunRecord: expected names that are text and a positive frame_rate_hz, got others")

    def write(self, run: Path) -> None:
        """Write it into the run folder."""
        with replacing(run / RECORD) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_record(run: Path) -> RunRecord | None:
    """The record of a run folder, or None for a lone checkpoint. ValueError names a broken one."""
    path = run / RECORD
    if not path.is_file():
        return None
    try:
        return RunRecord(**json.loads(path.read_text()))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not the record of a run ({error}); fit again with --overwrite") from error


def is_own(run: Path, capture: Capture) -> bool:
    """Whether this is the capture that the run was fitted to, whose single frames it knows."""
    record = read_record(run)
    return record is None or record.capture == capture.name


def capture_for(
    avatar: Avatar, folder: Path, split: str | None = None, pictures: PictureConfig | None = None
) -> Capture:
    """The capture in ``folder``, like ``open_capture``, with poses of the avatar's skeleton; ValueError without."""
    capture = open_capture(folder, split, pictures, rigs=(avatar.rig,))
    if capture.rig != avatar.rig:
        raise ValueError(f"{folder}: has poses of the skeleton {capture.rig!r}, but the avatar moves by {avatar.rig!r}")
    return capture


def fitted_motion(avatar: Avatar, run: Path) -> Motion:
    """The poses that the avatar of a run was fitted to."""
    record = read_record(run)
    rate = record.frame_rate_hz if record else FRAME_RATE_HZ
    motion = Motion(poses=avatar.poses.to("cpu"), frame_ids=avatar.frame_ids, frame_rate_hz=rate, is_own=True)
    return motion.rows(sorted(range(len(avatar.frame_ids)), key=avatar.frame_ids.__getitem__))


def chosen_motion(avatar: Avatar, run: Path, capture: Capture | None) -> Motion:
    """All poses of a capture, or without one those that the avatar was fitted to."""
    if capture is None:
        return fitted_motion(avatar, run)
    return Motion(
        poses=capture.poses,
        frame_ids=tuple(range(capture.num_frames)),
        frame_rate_hz=capture.frame_rate_hz,
        is_own=is_own(run, capture),
    )
