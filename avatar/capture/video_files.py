"""Pictures out of videos, by their number. Seeking by number is off in many files, so frames are decoded in order from
the key frame before and found by their time stamps."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import Bool, UInt8

from avatar.structs import Split

from .errors import CaptureError
from .files import first_file, inside
from .picture_files import AGAIN, MAX_PIXELS, MaskRule

MAX_OPEN = 8
# A frame at most this far ahead is decoded on the way; to one farther ahead, the video is wound.
MAX_AHEAD = 60


class Video:
    """A video file of a constant frame rate. Not safe to share among threads. Owns the open file."""

    def __init__(self, path: Path) -> None:
        """Raises CaptureError for a file that is no video, or of more pixels than pictures may have."""
        self.path = path
        try:
            self._container = av.open(str(path), metadata_errors="replace")
            self._stream = self._container.streams.video[0]
            if not self._stream.codec_context:
                raise ValueError("an unknown codec")
            self._frames = self._container.decode(self._stream)
            self.height, self.width = self._stream.height, self._stream.width
            first = next(self._frames) if self.height * self.width <= MAX_PIXELS else None
        except (FFmpegError, OSError, ValueError, IndexError, StopIteration) as error:
            raise CaptureError(path, f"is no video that can be decoded ({error}); {AGAIN}") from error
        if first is None:
            raise CaptureError(path, f"has {self.height} x {self.width} pixels; at most {MAX_PIXELS} are read")
        rate, time_base = self._stream.guessed_rate, self._stream.time_base
        if not rate or not time_base or first.pts is None:
            raise CaptureError(path, "has no time stamps; convert it to MP4")
        self.frame_rate_hz = float(rate)
        self._ticks, self._start = 1 / (rate * time_base), first.pts
        self._ahead: tuple[int, av.VideoFrame] | None = (0, first)
        self._at = -1

    def picture(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """The frame at a position counted from 0, sRGB. CaptureError when the video does not have it."""
        if not self._at < index <= self._at + MAX_AHEAD:
            self._wind(self._start + int(index * self._ticks))
        try:
            position, frame = self._decode_to(index)
            if position > index:
                self._wind(self._start)
                position, frame = self._decode_to(index)
        except CaptureError:
            raise
        except (FFmpegError, OSError, ValueError) as error:
            raise CaptureError(self.path, f"cannot be decoded at frame {index} ({error}); {AGAIN}") from error
        if position != index:
            raise CaptureError(self.path, f"has no frame {index}; it may be cut or of a varying frame rate")
        if (frame.height, frame.width) != (self.height, self.width):
            raise CaptureError(self.path, f"changes its size at frame {index}; {AGAIN}")
        return frame.to_ndarray(format="rgb24")

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _wind(self, time_stamp: int) -> None:
        try:
            self._container.seek(time_stamp, stream=self._stream)
        except (FFmpegError, OSError, ValueError) as error:
            raise CaptureError(self.path, f"cannot be wound ({error}); {AGAIN}") from error
        self._frames = self._container.decode(self._stream)
        self._ahead, self._at = None, -1

    def _decode_to(self, index: int) -> tuple[int, av.VideoFrame]:
        """The first frame that is not before ``index``, and its position; -1 at the end of the video."""
        last: tuple[int, av.VideoFrame] | None = None
        for position, frame in self._positions():
            self._at, last = position, (position, frame)
            if position >= index:
                return last
        if last is None:
            raise CaptureError(self.path, f"has no frame {index}; it ends before")
        return -1, last[1]

    def _positions(self) -> Iterator[tuple[int, av.VideoFrame]]:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            yield ahead
        for frame in self._frames:
            if frame.pts is not None:
                yield round(Fraction(frame.pts - self._start) / self._ticks), frame


@dataclass(frozen=True, kw_only=True)
class VideoNames:
    """Where a capture's videos lie: for each camera the relative paths to try, of its pictures and of its masks."""

    images: Sequence[Sequence[str]]
    masks: Sequence[Sequence[str]]


class VideoFiles:
    """Pictures and masks in videos of equal frame numbers. Keeps some videos open; safe to share among threads."""

    def __init__(self, root: Path, names: VideoNames, rule: MaskRule) -> None:
        self.root, self.names, self.rule = root, names, rule
        self._open: OrderedDict[Path, Video] = OrderedDict()
        self._lock = Lock()

    def image(self, frame_id: int, camera_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        """The pixels, sRGB, and the file that holds them."""
        return self._picture(self._path(self.names.images[camera_id]), frame_id)

    def mask(self, frame_id: int, camera_id: int) -> tuple[Path, Bool[np.ndarray, "h w"]]:
        """Where the person is, and the file that says it."""
        path, pixels = self._picture(self._path(self.names.masks[camera_id]), frame_id)
        return path, self.rule.apply(pixels)

    def size(self, camera_id: int) -> tuple[int, int] | None:
        """Height and width of a camera's video; None when it has none."""
        try:
            path = self._path(self.names.images[camera_id])
        except FileNotFoundError:
            return None
        with self._lock:
            video = self._video(path)
            return video.height, video.width

    def check(self, split: Split) -> None:
        """MissingFileError naming the first video of ``split`` that is not there."""
        for camera_id in split.camera_ids:
            self._path(self.names.images[camera_id])
            self._path(self.names.masks[camera_id])

    def _path(self, names: Sequence[str]) -> Path:
        return first_file(inside(self.root, name) for name in names)

    def _picture(self, path: Path, frame_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        with self._lock:
            return path, self._video(path).picture(frame_id)

    def _video(self, path: Path) -> Video:
        if path not in self._open:
            self._open[path] = Video(path)
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]
