"""Where a camera's pictures come from: one video for each camera, or one folder of pictures for each."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, pairwise
from pathlib import Path

from avatar.capture.picture_files import read_image

from .video import VideoConfig, VideoFrame, read_video

VIDEOS = frozenset((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv"))
PICTURES = frozenset((".jpg", ".jpeg", ".png"))
# Where EasyMocap and Pose2Sim keep them inside a recording's folder.
INSIDE = ("videos", "images")
HEAD_BYTES = 2**16


@dataclass(frozen=True, kw_only=True)
class Source:
    """What one camera filmed.

    Attributes:
        name: of the file or folder, without suffix.
        path: a video, or a folder of pictures.
        rate_hz: pictures a second of a folder; None for a video, which says so itself.
        first, stop: the frames to use, from ``first`` on and without ``stop``.
    """

    name: str
    path: Path
    rate_hz: float | None = None
    first: int = 0
    stop: int | None = None

    def frames(self) -> Iterator[VideoFrame]:
        """All frames to use, in order, each with its index and time in the whole video.

        Pictures whose names end in numbers are that many periods after picture 0, so that lost ones leave a gap.
        Raises as ``read_video`` and ``read_image``; ValueError where no frame is left.
        """
        frames = read_video(self.path) if self.rate_hz is None else _pictures(self.path, self.rate_hz, self.stop)
        count = 0
        for frame in islice(frames, self.first, self.stop):
            count += 1
            yield frame
        if count == 0:
            raise ValueError(f"{self.path}: has no frames from {self.first} on; choose others")

    def fingerprint(self) -> list[object]:
        """What changes when the file, or a picture of the folder, does."""
        files = [self.path] if self.rate_hz is None else _picture_paths(self.path)
        facts = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
        with files[0].open("rb") as file:
            head = sha256(file.read(HEAD_BYTES)).hexdigest()
        return [facts, head, self.rate_hz, self.first, self.stop]


def find_sources(place: Path, rate_hz: float | None = None, first: int = 0, stop: int | None = None) -> list[Source]:
    """The videos in a folder, or its sub-folders of pictures, or the one that ``place`` itself is; in natural order.

    Args:
        place: a folder of videos or of folders of pictures, a video, or a folder of pictures.
        rate_hz: pictures a second, for folders of pictures.
        first, stop: see ``Source``.

    Raises FileNotFoundError where there is neither, ValueError for pictures without rate and names that occur twice.
    """
    if not place.exists():
        raise FileNotFoundError(f"{place}: no such video or folder; give the folder that holds one video a camera")
    paths, is_video = _find(place)
    if not paths:
        raise FileNotFoundError(f"{place}: holds neither videos ({', '.join(sorted(VIDEOS))}) nor folders of pictures")
    if not is_video and rate_hz is None:
        raise ValueError(f"{place}: holds pictures, which do not say when they were taken; give pictures a second")
    names = [path.stem if is_video else path.name for path in paths]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{place}: has two videos called {doubled[0]!r}; keep one of them")
    rate = None if is_video else rate_hz
    sources = [
        Source(name=name, path=path, rate_hz=rate, first=first, stop=stop)
        for name, path in zip(names, paths, strict=True)
    ]
    return sorted(sources, key=lambda source: natural_order(source.name))


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key by which cam2 comes before cam10."""
    return [(int(part), "") if part.isdecimal() else (0, part.lower()) for part in re.split(r"([0-9]{1,18})", name)]


def _find(place: Path) -> tuple[list[Path], bool]:
    if place.is_file():
        return [place], True
    for folder in (place, *(place / name for name in INSIDE)):
        if not folder.is_dir():
            continue
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if videos := [path for path in inside if path.is_file() and path.suffix.lower() in VIDEOS]:
            return videos, True
        if folders := [path for path in inside if path.is_dir() and _picture_paths(path)]:
            return folders, False
    return ([place], False) if _picture_paths(place) else ([], False)


def _picture_paths(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    return sorted(paths, key=lambda path: natural_order(path.stem))


def _pictures(folder: Path, rate_hz: float, stop: int | None) -> Iterator[VideoFrame]:
    paths, most = _picture_paths(folder), VideoConfig().max_frames
    if len(paths) > most:
        raise ValueError(f"{folder}: expected at most {most} pictures, got {len(paths)}; use fewer")
    numbers = _numbers(paths)
    size: tuple[int, ...] | None = None
    for index, path in enumerate(paths[:stop]):
        picture = read_image(path)
        size = size or picture.shape
        if picture.shape != size:
            raise ValueError(f"{path}: is of another size than the pictures before; scale it")
        yield VideoFrame(index=index, time_s=numbers[index] / rate_hz, picture=picture)


def _numbers(paths: Sequence[Path]) -> list[int]:
    """The numbers that the names end in, if all do and they increase; else 0, 1, 2 and so on."""
    matches = [re.search(r"([0-9]{1,9})$", path.stem) for path in paths]
    found = [int(match[1]) for match in matches if match]
    increases = all(left < right for left, right in pairwise(found))
    return found if len(found) == len(paths) and increases else list(range(len(paths)))
