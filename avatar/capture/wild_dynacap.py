"""WildDynaCap and DynaCap (the release of MetaCap, Sun et al., 2024; also DeepCharacters and ASH).

::

    Subject0002/tight/training/       or testing, inTheWild: one capture
      cameras.calibration             see ``skeletool``
      videos/stream000.mp4            a video a camera, by its place in the calibration; .avi in older copies
      masks/stream000.mp4             the person is brighter than 170: compression smears its edges
      training_indices.txt            the time steps that the release extracts
      motions/smpl_params_smplx.npz   SMPL, smplx convention; row = frame of the video

Lengths of cameras are millimetres, of motions metres; y is up. Pictures and masks may differ in resolution.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from avatar.structs import Split

from .errors import CaptureError, MissingFileError
from .files import inside, read_bytes, read_npz
from .picture_files import MaskRule
from .recording import Recording
from .skeletool import read_cameras
from .smpl_poses import SmplPoses
from .smplx_keywords import poses_from_keywords
from .video_files import VideoFiles, VideoNames

MASK_ABOVE = 170
RIG = "smpl_neutral"
SMPL_FILES = ("motions/smpl_params_smplx.npz", "motions/smpl_params.npz")
SUFFIXES = (".mp4", ".avi")
# By subject, what MetaCap holds out: cameras of the dome and time steps of the sequence ``testing``.
EVALUATION_CAMERAS = {
    "Subject0002": (1, 14, 25, 39, 111, 113),
    "Subject0003": (23, 36, 45, 62, 49, 47),
    "Subject0005": (21, 34, 46, 57, 91, 90),
    "Subject0027": (0, 14, 26, 39, 55, 53),
}
WILD_CAMERAS = {"Subject0002": (1,), "Subject0027": (2,)}


def is_wild_dynacap(folder: Path) -> bool:
    """Whether ``folder`` holds skeletool's calibration and videos."""
    return (folder / "cameras.calibration").exists() and (folder / "videos").is_dir()


def record_wild_dynacap(folder: Path) -> Recording:
    """The capture in ``folder``. Raises MissingFileError or CaptureError."""
    calibration_path = folder / "cameras.calibration"
    calibrations = read_cameras(calibration_path)
    if not calibrations:
        raise CaptureError(calibration_path, "has no cameras; copy it again")
    indices = _indices(folder)
    body = _read_body(folder)
    if body is None and not indices:
        raise MissingFileError(folder / SMPL_FILES[0], "no such file; restore it, or a list of indices")
    num_frames = len(body.turns) if body is not None else max(indices) + 1
    if indices and max(indices) >= num_frames:
        raise CaptureError(folder, f"its indices go to {max(indices)}, but there are {num_frames} poses")
    cameras = range(len(calibrations))
    names = VideoNames(
        images=[[f"videos/stream{camera:03d}{suffix}" for suffix in SUFFIXES] for camera in cameras],
        masks=[[f"masks/stream{camera:03d}{suffix}" for suffix in SUFFIXES] for camera in cameras],
    )
    return Recording(
        name="_".join(folder.resolve().parts[-3:]),
        where=calibration_path,
        calibrations=calibrations,
        source=VideoFiles(folder, names, MaskRule(above=MASK_ABOVE)),
        num_frames=num_frames,
        body=body,
        splits=_splits(folder, indices or range(num_frames), len(calibrations)),
    )


def _indices(folder: Path) -> list[int]:
    """The time steps that the release names, in order; none without a list."""
    path = next(iter(sorted(folder.glob("*_indices.txt"))), None)
    if path is None:
        return []
    words = read_bytes(path).split()
    if not all(re.fullmatch(rb"[0-9]{1,7}", word) for word in words):
        raise CaptureError(path, "expected whole numbers between blanks; copy it again")
    return sorted({int(word) for word in words})


def _read_body(folder: Path) -> SmplPoses | None:
    path = next((inside(folder, name) for name in SMPL_FILES if (folder / name).exists()), None)
    if path is None:
        return None
    return poses_from_keywords(read_npz(path), RIG, path)


def _splits(folder: Path, frames: Sequence[int], num_cameras: int) -> Mapping[str, Split]:
    """All named time steps, from the cameras that MetaCap keeps for evaluation and from all others."""
    parts = folder.resolve().parts
    known = WILD_CAMERAS if parts[-1] == "inTheWild" else EVALUATION_CAMERAS
    held_out = next((known[part] for part in reversed(parts) if part in known), ())
    test = tuple(camera for camera in held_out if camera < num_cameras)
    train = tuple(camera for camera in range(num_cameras) if camera not in test)
    if not test or not train:
        return {}
    steps = tuple(frames)
    return {
        "train_dense": Split(name="train_dense", frame_ids=steps, camera_ids=train),
        "test_novel_view": Split(name="test_novel_view", frame_ids=steps, camera_ids=test),
    }
