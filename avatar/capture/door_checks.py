"""What goes wrong at the door of a published set, noticed by its own pictures: units, directions of transforms, ways to
place a body, inverted masks. All of them put the body where no camera sees it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from avatar.geometry import project, transform_points
from avatar.structs import Body, Capture

from .errors import CaptureError, MissingFileError

LOG = logging.getLogger(__name__)
HEIGHTS_M = (1.0, 2.6)
MOST_CAMERAS = 4
WORST, GOOD = 0.5, 0.85
# How far outside a mask a joint may lie, as a fraction of the picture's longer side.
SLACK = 0.02


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """How one camera sees the joints: fractions in the picture and in the mask, and the mask's part of the picture."""

    in_picture: float
    in_mask: float
    covered: float


def first_time_step(capture: Capture) -> int:
    """The time step that ``check_person`` looks at: the first of the first split."""
    return next((split.frame_ids[0] for split in capture.splits.values() if split.frame_ids), 0)


def check_person(capture: Capture, body: Body, frame_id: int, where: Path) -> None:
    """CaptureError, naming ``where`` and what to do, when most joints of ``body`` miss the pictures or their masks.

    ``body`` is the person at the time step ``frame_id``. Looks at four cameras at most, and only at pictures that are
    there and show somebody; a fit that is merely bad is a warning.
    """
    height = float(np.ptp(body.rest.vertices[:, 2].numpy(force=True)))
    if not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
        raise CaptureError(
            where, f"its person is {height:.2f} m tall; the shape is of another body model, or not in its units"
        )
    sights = list(_sights(capture, body, frame_id))
    if not sights:
        return
    in_picture, in_mask, covered = (
        float(np.median([getattr(sight, name) for sight in sights])) for name in ("in_picture", "in_mask", "covered")
    )
    if in_picture < WORST:
        raise CaptureError(
            where,
            f"cameras see {in_picture:.0%} of the body's joints at time step {frame_id}; check that cameras and body "
            f"are in one unit, and that cameras lead from the world to the camera",
        )
    if in_mask < WORST and covered > WORST:
        raise CaptureError(
            where, f"masks cover {covered:.0%} of the pictures and {in_mask:.0%} of the joints; they seem inverted"
        )
    if in_mask < WORST:
        raise CaptureError(
            where,
            f"masks cover {in_mask:.0%} of the body's joints at time step {frame_id}; check that poses belong to these "
            f"frames, and how the body is placed (Rh and Th turn about the origin, transl about the pelvis)",
        )
    if in_mask < GOOD:
        LOG.warning("%s: masks cover only %.0f %% of the body's joints; the fit is loose", where, 100 * in_mask)


def _sights(capture: Capture, body: Body, frame_id: int) -> Iterator[_Sight]:
    count = len(capture.cameras)
    for camera_id in range(0, count, max(1, -(-count // MOST_CAMERAS))):
        try:
            frame = capture.load_frame(frame_id, camera_id, False)
        except MissingFileError:
            continue
        mask = frame.is_foreground.numpy(force=True)
        if not mask.any():
            continue
        camera = frame.camera
        pixels, depths = project(transform_points(camera.camera_from_world, body.joints_world), camera.intrinsics_px)
        columns, rows = pixels.floor().long().unbind(-1)
        is_seen = (depths > 0) & (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
        side = 2 * round(SLACK * max(mask.shape)) + 1
        grown = torch.from_numpy(cv2.dilate(mask.view(np.uint8), np.ones((side, side), np.uint8)).view(bool))
        hits = grown[rows[is_seen], columns[is_seen]]
        joints = len(pixels)
        yield _Sight(
            in_picture=float(is_seen.sum()) / joints,
            in_mask=float(hits.sum()) / joints,
            covered=float(mask.mean()),
        )
