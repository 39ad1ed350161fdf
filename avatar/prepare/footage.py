"""What there is in each camera's video by itself: its clock, its size, and the person's landmarks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .landmarks import Landmarker, Person, track
from .letterbox import Letterbox, fit_to_video
from .region import Region
from .skeleton import NUM_LANDMARKS
from .sources import Source
from .stored import Arrays
from .video import VideoFrame

Counted = Callable[[int], None]
"""Called with the number of frames done."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Footage:
    """One camera's video.

    Attributes:
        times_s: of the frames to use, by the video's own clock.
        frame_ids: their places in the video.
        size: height and width in pixels.
        letterbox: where the calibrated picture lies in them.
    """

    times_s: Float[ndarray, " f"]
    frame_ids: ndarray
    size: tuple[int, int]
    letterbox: Letterbox

    @staticmethod
    def of(arrays: Arrays) -> "Footage":
        """What ``survey`` found."""
        scale, left, top = arrays["letterbox"].tolist()
        height, width = arrays["size"].tolist()
        return Footage(
            times_s=arrays["times_s"],
            frame_ids=arrays["frame_ids"],
            size=(height, width),
            letterbox=Letterbox(scale=scale, left_px=left, top_px=top),
        )


def survey(source: Source, calibration: Calibration) -> Arrays:
    """Look through a video once. Raises ValueError where it is damaged, or cannot be what was calibrated."""
    times, ids, looks, size = [], [], [], (0, 0)
    for count, frame in enumerate(source.frames()):
        times.append(frame.time_s)
        ids.append(frame.index)
        size = frame.picture.shape[:2]
        if count & (count - 1) == 0:  # 0, 1, 2, 4, 8 ...
            looks.append(frame.picture)
    box = fit_to_video(calibration, looks)
    return {
        "times_s": np.array(times),
        "frame_ids": np.array(ids),
        "size": np.array(size),
        "letterbox": np.array([box.scale, box.left_px, box.top_px]),
    }


def find_landmarks(source: Source, landmarker: Landmarker, start: Region | None, on_frame: Counted) -> Arrays:
    """The person in every frame: landmarks, the soft mask and its region. NaN and zeros where nobody is found.

    Args:
        source: the video.
        landmarker: what looks.
        start: where the person to follow is in the first frame; by default the largest is followed.
        on_frame: told the number of frames done.
    """
    people: list[Person | None] = []
    for person in track((frame.picture for frame in source.frames()), landmarker, start):
        people.append(person)
        on_frame(len(people))
    return arrays_of(people)


def arrays_of(people: list[Person | None]) -> Arrays:
    """What a landmarker says of the frames of one video, None where it found nobody, as it is stored."""
    count = len(people)
    arrays: Arrays = {
        "points_px": np.full((count, NUM_LANDMARKS, 2), np.nan, np.float32),
        "confidences": np.zeros((count, NUM_LANDMARKS), np.float32),
        "guesses_m": np.full((count, NUM_LANDMARKS, 3), np.nan, np.float32),
        "regions": np.zeros((count, 4)),
        "soft_masks": np.zeros((count, 256, 256), np.uint8),
    }
    for i, person in enumerate(people):
        if person is not None:
            arrays["points_px"][i], arrays["confidences"][i] = person.points_px, person.visibilities
            arrays["guesses_m"][i], arrays["soft_masks"][i] = person.points_m, person.soft_mask
            arrays["regions"][i] = [*person.region.centre_px, person.region.size_px, person.region.rotation_rad]
    return arrays


def soft_mask(found: Arrays, row: int, size: tuple[int, int]) -> Float[ndarray, "h w"]:
    """Probability of the person at every pixel of the frame in that row; zero where nobody was found."""
    column, line, side, turn = found["regions"][row].tolist()
    if side <= 0:
        return np.zeros(size, np.float32)
    region = Region(centre_px=(column, line), size_px=side, rotation_rad=turn)
    return region.paste(found["soft_masks"][row].astype(np.float32) / 255, *size)


def chosen_frames(source: Source, frame_ids: set[int]) -> Iterator[VideoFrame]:
    """The frames of those places, in order."""
    last = max(frame_ids, default=-1)
    for frame in source.frames():
        if frame.index in frame_ids:
            yield frame
        if frame.index >= last:
            return
