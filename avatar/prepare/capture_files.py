"""A prepared person as a capture on disk: splits of what there is, cameras and body."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray

from avatar.capture.writer import write_tables
from avatar.structs import Camera, Capture, Frame, Split

from .observations import FittedBody

TEST_EVERY = 5  # of the time steps one is held back
FEWEST_FRAMES = 10  # from which on time steps are held back
FEWEST_CAMERAS = 4  # from which on a camera is held back


def write_prepared(
    folder: Path,
    name: str,
    cameras: tuple[Camera, ...],
    fitted: FittedBody,
    frame_rate_hz: float,
    exists: Bool[ndarray, "f c"],
) -> Capture:
    """Write all of the capture but its pictures, which are there where ``exists`` says so; gives what was written.

    Raises ValueError where no picture has a mask.
    """

    def refuse(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        raise ValueError(f"{name}: written, not read: open {folder}")

    capture = Capture(
        name=name,
        cameras=cameras,
        poses=fitted.poses,
        shape=fitted.shape,
        splits=make_splits(exists, held_out(cameras, exists)),
        frame_rate_hz=frame_rate_hz,
        load_frame=refuse,
        rig=fitted.rig,
    )
    write_tables(capture, folder)
    return capture


def make_splits(exists: Bool[ndarray, "f c"], test_camera: int | None) -> dict[str, Split]:
    """Splits of pictures that are all there.

    ``train_dense``: all cameras but ``test_camera``, four of five time steps. ``test_novel_view``: ``test_camera``, the
    same time steps. ``test_novel_time``: the fifth ones, ``train_dense``'s cameras. ``train_all``: all that there is.
    A camera in which the person is rarely found is left out where the others alone make more pictures.
    """
    frames, cameras = _fullest(exists, [camera for camera in range(exists.shape[1]) if camera != test_camera])
    if not frames:
        raise ValueError("no time step has a picture and a mask; give videos in which the person is seen")
    is_test = np.arange(len(frames)) % TEST_EVERY == TEST_EVERY - 1
    if len(frames) < FEWEST_FRAMES:
        is_test[:] = False
    train = [frame for frame, held in zip(frames, is_test, strict=True) if not held]
    parts = {"train_dense": (train, cameras)}
    if test_camera is not None:
        parts["test_novel_view"] = ([frame for frame in train if exists[frame, test_camera]], [test_camera])
    parts["test_novel_time"] = ([frame for frame, held in zip(frames, is_test, strict=True) if held], cameras)
    parts["train_all"] = _fullest(exists, list(range(exists.shape[1])))
    return {
        name: Split(name=name, frame_ids=tuple(kept), camera_ids=tuple(seen))
        for name, (kept, seen) in parts.items()
        if kept
    }


def held_out(cameras: Sequence[Camera], exists: Bool[ndarray, "f c"]) -> int | None:
    """The camera to test with: of those that see the person well, the one with the nearest neighbour; None of few."""
    counts = exists.sum(axis=0)
    good = [camera for camera in range(len(cameras)) if counts[camera] > 0.8 * counts.max()]
    if len(good) < FEWEST_CAMERAS:
        return None
    looks = torch.stack([camera.camera_from_world[2, :3] for camera in cameras])
    nearness = looks @ looks.mT - 3 * torch.eye(len(looks))
    return max(good, key=lambda camera: float(nearness[camera, good].max()))


def _fullest(exists: Bool[ndarray, "f c"], cameras: list[int]) -> tuple[list[int], list[int]]:
    """Time steps and cameras with all pictures there, as many as there are by leaving out the poorest cameras."""
    order = sorted(cameras, key=lambda camera: -int(exists[:, camera].sum()))
    choices = [(exists[:, order[:count]].all(axis=1), order[:count]) for count in range(1, len(order) + 1)]
    is_whole, chosen = max(choices, key=lambda choice: int(choice[0].sum()) * len(choice[1]), default=(np.zeros(0), []))
    return np.flatnonzero(is_whole).tolist(), sorted(chosen)
