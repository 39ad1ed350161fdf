"""The pictures and masks of a capture, out of one camera's video: undistorted, scaled, on disk."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.capture.writer import mask_path, picture_path, write_mask, write_picture

from .footage import Counted, chosen_frames, soft_mask
from .masks import CleanPlate, MaskConfig, clean_plate, foreground
from .sources import Source
from .stored import Arrays
from .undistort import Undistorter
from .video import VideoFrame

PLATE_PICTURES = 30
MOVING = 0.1  # unrest from which a plate is not used


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One camera's part of a capture.

    Attributes:
        source: its video.
        people: what ``find_landmarks`` found there.
        frame_ids: place in the video of each row of ``people``.
        rows: the row of each time step; -1 where the video has no frame.
        calibration: of the video's pictures.
        size: height and width of the pictures to write.
        name: of the camera.
    """

    source: Source
    people: Arrays
    frame_ids: ndarray
    rows: ndarray
    calibration: Calibration
    size: tuple[int, int]
    name: str

    @property
    def steps(self) -> dict[int, list[int]]:
        """Time steps by the place of their frame in the video."""
        found: dict[int, list[int]] = {}
        for step, row in enumerate(self.rows.tolist()):
            if row >= 0:
                found.setdefault(int(self.frame_ids[row]), []).append(step)
        return found

    @property
    def has_person(self) -> ndarray:
        """Of each time step, whether there is a picture with the person in it."""
        return (self.rows >= 0) & (self.people["regions"][np.maximum(self.rows, 0), 2] > 0)


def write_pictures(shot: Shot, folder: Path, config: MaskConfig, on_frame: Counted) -> Arrays:
    """Write every time step's picture, and its mask where somebody is in it; what was there before goes.

    Gives ``disagreements`` of each time step, NaN where unknown, and ``unrest`` of the scene. The plate of a scene
    that does not rest is not used.
    """
    for old in (folder / shot.name, folder / "mask" / shot.name):
        shutil.rmtree(old, ignore_errors=True)
    straighten = _Straightener(shot)
    plate = _plate(shot, straighten, config)
    rests, steps = plate.unrest <= MOVING, shot.steps
    disagreements = np.full(len(shot.rows), np.nan)
    for count, frame in enumerate(chosen_frames(shot.source, set(steps))):
        picture, person = straighten(frame)
        mask = foreground(picture, person, plate if rests else None, config)
        for step in steps[frame.index]:
            write_picture(picture_path(folder, shot.name, step), picture)
            if shot.has_person[step]:
                write_mask(mask_path(folder, shot.name, step), mask.is_foreground)
                disagreements[step] = np.nan if mask.disagreement is None else mask.disagreement
        on_frame(count + 1)
    return {"disagreements": disagreements, "unrest": np.array(plate.unrest)}


def are_written(shot: Shot, folder: Path) -> bool:
    """Whether all pictures and masks of the camera are there."""
    return all(
        picture_path(folder, shot.name, step).is_file()
        and (not shot.has_person[step] or mask_path(folder, shot.name, step).is_file())
        for step in np.flatnonzero(shot.rows >= 0).tolist()
    )


class _Straightener:
    """A camera's frames and soft masks as the capture is to have them: undistorted, then scaled."""

    def __init__(self, shot: Shot) -> None:
        self.shot, self.undistorter = shot, Undistorter(shot.calibration)
        self.row_of = {int(frame): row for row, frame in enumerate(shot.frame_ids)}

    def __call__(self, frame: VideoFrame) -> tuple[UInt8[ndarray, "h w 3"], Float[ndarray, "h w"]]:
        person = soft_mask(self.shot.people, self.row_of[frame.index], frame.picture.shape[:2])
        grey = self._scaled(self.undistorter.picture(np.round(255 * person).astype(np.uint8)))
        return self._scaled(self.undistorter.picture(frame.picture)), grey.astype(np.float32) / 255

    def _scaled(self, pixels: UInt8[ndarray, "_ _ *d"]) -> UInt8[ndarray, "h w *d"]:
        if pixels.shape[:2] == self.shot.size:
            return pixels
        return cv2.resize(pixels, self.shot.size[::-1], interpolation=cv2.INTER_AREA)


def _plate(shot: Shot, straighten: _Straightener, config: MaskConfig) -> CleanPlate:
    """The scene without the person, of frames all over the video."""
    places = np.linspace(0, len(shot.frame_ids) - 1, min(PLATE_PICTURES, len(shot.frame_ids))).round().astype(int)
    frames = chosen_frames(shot.source, set(shot.frame_ids[places].tolist()))
    pictures, people = zip(*(straighten(frame) for frame in frames), strict=True)
    return clean_plate(pictures, people, config)
