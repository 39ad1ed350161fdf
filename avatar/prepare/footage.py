"""What there is in a camera's video: its clock, its size, and how that fits its calibration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .letterbox import Letterbox, fit_to_video
from .sources import Source
from .stored import Arrays
from .video import VideoConfig, VideoFrame

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
    """Look through a video once. ValueError where it is damaged, has huge gaps, or cannot be what was calibrated."""
    times, ids, looks, size = [], [], [], (0, 0)
    for count, frame in enumerate(source.frames()):
        times.append(frame.time_s)
        ids.append(frame.index)
        size = frame.picture.shape[:2]
        if count & (count - 1) == 0:  # 0, 1, 2, 4, 8 ...
            looks.append(frame.picture)
    periods = np.ptp(times) / np.median(np.diff(times)) if len(times) > 1 else 0
    if periods > VideoConfig().max_frames:
        raise ValueError(
            f"{source.path}: its pictures are numbered or timed with gaps of {periods:.0f}; number them anew"
        )
    box = fit_to_video(calibration, looks)
    return {
        "times_s": np.array(times),
        "frame_ids": np.array(ids),
        "size": np.array(size),
        "letterbox": np.array([box.scale, box.left_px, box.top_px]),
    }


def chosen_frames(source: Source, frame_ids: set[int]) -> Iterator[VideoFrame]:
    """The frames of those places, in order."""
    last = max(frame_ids, default=-1)
    for frame in source.frames():
        if frame.index in frame_ids:
            yield frame
        if frame.index >= last:
            return
