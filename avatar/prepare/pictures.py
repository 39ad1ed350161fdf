"""The pictures and masks of a capture, out of one camera's video: undistorted, scaled, on disk."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.capture.writer import mask_path, picture_path, write_mask, write_picture

from .footage import Counted, chosen_frames
from .landmarks import Picture
from .masks import CleanPlate, MaskConfig, clean_plate, foreground
from .sightings import Sightings
from .sources import Source
from .stored import Arrays
from .straight_edges import EdgeCheck, check_edges
from .undistort import Undistorter
from .video import VideoFrame

SoftMask = Float[ndarray, "h w"]

PLATE_PICTURES, LENS_PICTURES = 30, 15
MOVING = 0.1  # unrest from which a plate is not used


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One camera's part of a capture.

    Attributes:
        source: its video.
        sightings: everybody there.
        person: the row of ``sightings`` of the person in each frame to use; -1 where not seen.
        frame_ids: the frames' places in the video.
        rows: which of these frames each time step has; -1 where none.
        calibration: of the video's pictures.
        size: height and width of the pictures to write.
        name: of the camera.
    """

    source: Source
    sightings: Sightings
    person: Int[ndarray, " p"]
    frame_ids: Int[ndarray, " p"]
    rows: Int[ndarray, " f"]
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
    def has_person(self) -> Bool[ndarray, " f"]:
        """Of each time step, whether there is a picture with the person in it."""
        return (self.rows >= 0) & (self.person[np.maximum(self.rows, 0)] >= 0)

    def soft_mask(self, rows: Iterable[int], size: tuple[int, int]) -> Float[ndarray, "h w"]:
        """Probability of any of these rows' people at every pixel of the video's picture."""
        masks = [self.sightings.mask(row, size) for row in rows]
        return np.maximum.reduce([np.zeros(size, np.float32), *masks])


def write_pictures(shot: Shot, folder: Path, config: MaskConfig, on_frame: Counted) -> Arrays:
    """Write every time step's picture, and its mask where somebody is in it; what was there before goes.

    Gives ``disagreements`` of each time step, NaN where unknown, ``unrest`` of the scene, and ``hidden``, the share of
    the person's pixels behind which the scene is not known. The plate of a scene that does not rest is not used.
    """
    for old in (folder / shot.name, folder / "mask" / shot.name):
        shutil.rmtree(old, ignore_errors=True)
    straighten = _Straightener(shot)
    plate = _plate(shot, straighten, config)
    rests, steps = plate.unrest <= MOVING, shot.steps
    disagreements, hidden, covered = np.full(len(shot.rows), np.nan), 0, 0
    for count, frame in enumerate(chosen_frames(shot.source, set(steps))):
        picture, person, others = straighten(frame)
        mask = foreground(picture, person, plate if rests else None, config, others)
        hidden += int((mask.is_foreground & ~plate.is_known).sum())
        covered += int(mask.is_foreground.sum())
        for step in steps[frame.index]:
            write_picture(picture_path(folder, shot.name, step), picture)
            if shot.has_person[step]:
                write_mask(mask_path(folder, shot.name, step), mask.is_foreground)
                disagreements[step] = np.nan if mask.disagreement is None else mask.disagreement
        on_frame(count + 1)
    shares = {"unrest": np.array(plate.unrest), "hidden": np.array(hidden / max(covered, 1))}
    return {"disagreements": disagreements, **shares}


def check_lens(shot: Shot) -> EdgeCheck:
    """What straight edges of the scene say of the video's lens; nothing where the scene does not rest."""
    places = _spread_places(shot, LENS_PICTURES)
    pictures, people = [], []
    for frame, place in zip(chosen_frames(shot.source, set(shot.frame_ids[places].tolist())), places, strict=True):
        pictures.append(frame.picture)
        people.append(shot.soft_mask(shot.sightings.around(int(place)), frame.picture.shape[:2]))
    plate = clean_plate(pictures, people)
    return check_edges(plate.picture, shot.calibration, plate.is_known & (plate.unrest <= MOVING))


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
        self.place_of = {int(frame): place for place, frame in enumerate(shot.frame_ids)}

    def __call__(self, frame: VideoFrame) -> tuple[Picture, SoftMask, SoftMask | None]:
        """The picture, the person's soft mask, and that of all others, None where nobody else is."""
        place = self.place_of[frame.index]
        person = int(self.shot.person[place])
        others = [row for row in np.flatnonzero(self.shot.sightings.pictures == place).tolist() if row != person]
        masks = [self._soft(rows, frame) for rows in ([person] if person >= 0 else [], others)]
        return self._picture(frame), masks[0], masks[1] if others else None

    def with_everybody(self, frame: VideoFrame) -> tuple[Picture, SoftMask]:
        """The picture, and where people are in it or, where they are missed, where they were before and after."""
        return self._picture(frame), self._soft(self.shot.sightings.around(self.place_of[frame.index]), frame)

    def _picture(self, frame: VideoFrame) -> Picture:
        return self._scaled(self.undistorter.picture(frame.picture))

    def _soft(self, rows: list[int], frame: VideoFrame) -> SoftMask:
        grey = np.round(255 * self.shot.soft_mask(rows, frame.picture.shape[:2])).astype(np.uint8)
        return self._scaled(self.undistorter.picture(grey)).astype(np.float32) / 255

    def _scaled(self, pixels: UInt8[ndarray, "_ _ *d"]) -> UInt8[ndarray, "h w *d"]:
        if pixels.shape[:2] == self.shot.size:
            return pixels
        return cv2.resize(pixels, self.shot.size[::-1], interpolation=cv2.INTER_AREA)


def _plate(shot: Shot, straighten: _Straightener, config: MaskConfig) -> CleanPlate:
    """The scene without people, of frames all over the video."""
    places = _spread_places(shot, PLATE_PICTURES)
    frames = chosen_frames(shot.source, set(shot.frame_ids[places].tolist()))
    pictures, people = zip(*map(straighten.with_everybody, frames), strict=True)
    return clean_plate(pictures, people, config)


def _spread_places(shot: Shot, most: int) -> Int[ndarray, " n"]:
    """So many frames, or all, evenly spread."""
    count = len(shot.frame_ids)
    return np.linspace(0, count - 1, min(most, count)).round().astype(int)
