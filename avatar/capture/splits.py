"""``splits.json``: the named parts of a capture."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from avatar.structs import Split

from .errors import CaptureError
from .tables import field, integer, sequence, table, text
from .zju_subjects import Subject

# Protocol D of ZJU-MoCap (NeuralBody): four training cameras, every 30th frame of all others to test.
TRAIN_CAMERAS = (0, 6, 12, 18)
TEST_EVERY = 30


def splits_from_json(
    values: dict[str, object], camera_names: list[str], num_frames: int, path: Path
) -> dict[str, Split]:
    """The entries of ``values`` that are splits: ``{"frames": [indices], "cameras": [names]}``.

    Other entries describe the capture and are left alone. Raises CaptureError for a camera that the capture does not
    have, a frame out of range, one listed twice, or an empty list.
    """
    splits = {}
    for name, entry in values.items():
        if isinstance(entry, dict):
            cameras = [text(camera, path, f"{name}: cameras") for camera in _listed(entry, "cameras", name, path)]
            if unknown := sorted(set(cameras) - set(camera_names)):
                raise CaptureError(path, f"{name}: no camera {unknown[0][:60]!r}; there are {', '.join(camera_names)}")
            frames = [
                integer(frame, path, f"{name}: frames", 0, num_frames - 1)
                for frame in _listed(entry, "frames", name, path)
            ]
            ids = [camera_names.index(camera) for camera in cameras]
            if len(set(ids)) < len(ids) or len(set(frames)) < len(frames):
                raise CaptureError(path, f"{name}: a frame or camera is listed twice; list each once")
            splits[name] = Split(name=name, frame_ids=tuple(frames), camera_ids=tuple(ids))
    return splits


def default_splits(num_cameras: int, num_frames: int) -> dict[str, Split]:
    """Splits for a capture without ``splits.json``, after protocol D of ZJU-MoCap.

    ``train_dense``: cameras 0, 6, 12 and 18 (with fewer than seven cameras all but the last), all frames.
    ``test_novel_view``: the other cameras, every 30th frame.
    """
    train = TRAIN_CAMERAS if num_cameras > TRAIN_CAMERAS[1] else tuple(range(max(1, num_cameras - 1)))
    train = tuple(camera for camera in train if camera < num_cameras)
    test = tuple(camera for camera in range(num_cameras) if camera not in train)
    splits = {"train_dense": Split(name="train_dense", frame_ids=tuple(range(num_frames)), camera_ids=train)}
    if test:
        frames = tuple(range(0, num_frames, TEST_EVERY))
        splits["test_novel_view"] = Split(name="test_novel_view", frame_ids=frames, camera_ids=test)
    return splits


def splits_from_protocol(subject: Subject | None, num_cameras: int, num_frames: int) -> dict[str, Split]:
    """Protocol D's splits of a published subject; those of ``default_splits`` for any other capture.

    ``train_dense``: its four cameras. ``test_novel_view``: the other cameras, every 30th time step of the same range.
    ``test_novel_pose``: the other cameras, every 30th time step of the range that was held back.
    """
    splits = default_splits(num_cameras, num_frames)
    if subject is None or len(splits) < 2:
        return splits
    ranges = {"train_dense": range(*subject.train)}
    ranges["test_novel_view"] = range(*subject.train, TEST_EVERY)
    ranges["test_novel_pose"] = range(*subject.unseen, TEST_EVERY)
    cameras = {
        name: splits["train_dense" if name == "train_dense" else "test_novel_view"].camera_ids for name in ranges
    }
    kept = {name: tuple(frame for frame in frames if frame < num_frames) for name, frames in ranges.items()}
    return {
        name: Split(name=name, frame_ids=frames, camera_ids=cameras[name]) for name, frames in kept.items() if frames
    }


def without_missing(splits: dict[str, Split], missing: Collection[tuple[int, int]]) -> dict[str, Split]:
    """The splits without the time steps of which one of their cameras has no picture: ``missing`` (frame, camera)."""
    kept = {}
    for name, split in splits.items():
        lost = {frame for frame, camera in missing if camera in split.camera_ids}
        frames = tuple(frame for frame in split.frame_ids if frame not in lost)
        if frames:
            kept[name] = replace(split, frame_ids=frames)
    return kept


def _listed(entry: dict[str, object], key: str, name: str, path: Path) -> list[object]:
    items = sequence(field(table(entry, path, name), key, path, name), path, f"{name}: {key}")
    if not items:
        raise CaptureError(path, f"{name}: {key} is empty; list at least one")
    return items
