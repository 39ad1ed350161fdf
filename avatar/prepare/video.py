"""Frames of videos, decoded in order, upright, each with its time; and those of several videos side by side.

Nothing is sought by number, which is off in many files, and no frame rate is believed where there are time stamps.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import Float, UInt8
from numpy import ndarray

AGAIN = "copy it again"


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """What a video may be.

    Attributes:
        max_frames: more are refused.
        max_pixels: of a frame; more are refused before any is decoded.
        rate_hz: frames a second of a file that does not say.
    """

    max_frames: int = 100_000
    max_pixels: int = 64 * 2**20
    rate_hz: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_frames", "max_pixels", "rate_hz"):
            if getattr(self, name) <= 0:
                raise ValueError(f"VideoConfig.{name}: expected more than 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: its place in the video, from 0.
        time_s: by the video's own clock, 0 for the first frame.
        picture: sRGB, turned as the file says it is to be shown.
    """

    index: int
    time_s: float
    picture: UInt8[ndarray, "h w 3"]


def read_video(path: Path, config: VideoConfig | None = None) -> Iterator[VideoFrame]:
    """All frames in order; where time stamps are missing or do not increase, as far apart as the rate says.

    Raises FileNotFoundError, or ValueError naming the file: for what is no video, is damaged, changes its size, or has
    more frames or pixels than allowed.
    """
    config = config or VideoConfig()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such video")
    try:
        yield from _decoded(path, config)
    except FFmpegError as error:
        raise ValueError(f"{path}: cannot be decoded as a video ({error.strerror}); {AGAIN}") from error


def _decoded(path: Path, config: VideoConfig) -> Iterator[VideoFrame]:
    with av.open(str(path), metadata_errors="replace") as container:
        if not container.streams.video or not container.streams.video[0].codec_context:
            raise ValueError(f"{path}: holds no video that can be decoded")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        period_s = 1 / float(stream.average_rate or stream.guessed_rate or config.rate_hz)
        size, last_s = (stream.height, stream.width), -period_s
        _check_size(path, size, config)
        start_s: float | None = None
        for index, frame in enumerate(container.decode(stream)):
            if index >= config.max_frames:
                raise ValueError(f"{path}: expected at most {config.max_frames} frames, got more; cut it")
            if (frame.height, frame.width) != size:
                raise ValueError(f"{path}: changes its size at frame {index}; convert it")
            time_s = last_s + period_s
            if frame.pts is not None:
                start_s = frame.time if start_s is None else start_s
                time_s = frame.time - start_s
            last_s = time_s if time_s > last_s else last_s + period_s
            picture = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
            yield VideoFrame(index=index, time_s=last_s, picture=np.ascontiguousarray(picture))
        if last_s < 0:
            raise ValueError(f"{path}: holds no frames; {AGAIN}")


def _check_size(path: Path, size: tuple[int, int], config: VideoConfig) -> None:
    if not 0 < size[0] * size[1] <= config.max_pixels:
        raise ValueError(f"{path}: has {size[0]} x {size[1]} pixels; from 1 to {config.max_pixels} are read")


def synchronised_frames(
    videos: Sequence[Iterable[VideoFrame]], offsets_s: Float[ndarray, " c"], rate_hz: float
) -> Iterator[tuple[VideoFrame | None, ...]]:
    """Moments at a constant rate, from when all videos have begun until the first ends: from each its nearest frame.

    Args:
        videos: frames in order, as ``read_video`` gives them.
        offsets_s: what to add to each video's time to get the common one, of ``synchronise``.
        rate_hz: moments a second.

    A video whose nearest frame is farther away than one and a half of its frames' distance, and more than half a
    moment, has None there.
    """
    with ExitStack() as stack:
        frames = [_Nearest(iter(video), float(offset)) for video, offset in zip(videos, offsets_s, strict=True)]
        for each in frames:
            stack.callback(each.close)
        start_s = max(each.time_s for each in frames)
        step = 0
        while True:
            time_s = start_s + step / rate_hz
            for each in frames:
                each.advance(time_s)
            if any(each.is_over(time_s) for each in frames):
                return
            yield tuple(each.at(time_s, 0.5 / rate_hz) for each in frames)
            step += 1


class _Nearest:
    """Two neighbouring frames of a video, which it owns, around a moment that only advances."""

    def __init__(self, frames: Iterator[VideoFrame], offset_s: float) -> None:
        self._frames, self._offset_s = frames, offset_s
        self._before = next(frames)
        self._after = next(frames, None)
        self._period_s = self._after.time_s - self._before.time_s if self._after else 0.0

    @property
    def time_s(self) -> float:
        """Of the frame before, by the common clock."""
        return self._before.time_s + self._offset_s

    def advance(self, time_s: float) -> None:
        """Go on until the moment lies between the two frames."""
        while self._after is not None and self._after.time_s + self._offset_s <= time_s + 1e-9:
            # The distance of frames is the smallest seen: gaps are no distance.
            self._period_s = min(self._period_s, self._after.time_s - self._before.time_s)
            self._before, self._after = self._after, next(self._frames, None)

    def is_over(self, time_s: float) -> bool:
        """Whether the video ended before the moment."""
        return self._after is None and time_s > self.time_s + self._period_s / 2 + 1e-9

    def at(self, time_s: float, tolerance_s: float) -> VideoFrame | None:
        """The nearer frame, unless there is a gap here."""
        pair = [self._before] if self._after is None else [self._before, self._after]
        nearest = min(pair, key=lambda frame: abs(frame.time_s + self._offset_s - time_s))
        distance_s = abs(nearest.time_s + self._offset_s - time_s)
        return nearest if distance_s <= max(1.5 * self._period_s, tolerance_s) + 1e-9 else None

    def close(self) -> None:
        """Let go of the file."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()
