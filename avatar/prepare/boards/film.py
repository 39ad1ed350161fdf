"""Boards seen in films: a video or a folder of pictures for each camera, moment by moment."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ..sources import Source
from ..video import VideoFrame, synchronised_frames
from .board import Board
from .detect import BoardView, find_board

THREADS: Final = 4
Notify = Callable[[int, str], None]
"""Called with the number of moments done and what was found so far."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardFilm:
    """What one camera saw of the board.

    Attributes:
        name: of the camera.
        size: height and width of its pictures.
        num_pictures: how many were looked at.
        views: those with the board.
        times_s: when they were taken, by the common clock.
    """

    name: str
    size: tuple[int, int]
    num_pictures: int
    views: tuple[BoardView, ...]
    times_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """Which pictures are looked at.

    Attributes:
        rate_hz: of videos, so many moments a second.
        max_moments: no more of them, from the beginning.
    """

    rate_hz: float = 2.0
    max_moments: int = 600

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= 1000:
            raise ValueError(f"FilmConfig.rate_hz: expected more than 0 and at most 1000, got {self.rate_hz}")
        if self.max_moments < 1:
            raise ValueError(f"FilmConfig.max_moments: expected 1 or more, got {self.max_moments}")


def see_boards(
    sources: Sequence[Source],
    board: Board,
    config: FilmConfig | None = None,
    offsets_s: Float[ndarray, " c"] | None = None,
    notify: Notify | None = None,
) -> list[BoardFilm]:
    """The board in what synchronised cameras filmed.

    Pictures of folders belong together by the numbers that their names end in, or by their order; ``offsets_s`` is
    what to add to each video's time. Raises as the sources do, and ValueError where a camera's pictures change size.
    """
    config, offsets_s = config or FilmConfig(), np.zeros(len(sources)) if offsets_s is None else offsets_s
    looks = [_Look(source.name, float(offset)) for source, offset in zip(sources, offsets_s, strict=True)]
    with ThreadPoolExecutor(THREADS) as pool:
        for moment, frames in enumerate(islice(_moments(sources, config, offsets_s), config.max_moments)):
            list(pool.map(_Look.at, looks, frames, repeat(board), repeat(moment)))
            if notify is not None:
                notify(moment + 1, ", ".join(f"{look.name} {len(look.views)}" for look in looks))
    return [look.film() for look in looks]


class _Look:
    """What was seen so far in one film."""

    def __init__(self, name: str, offset_s: float) -> None:
        self.name, self.offset_s = name, offset_s
        self.size: tuple[int, int] | None = None
        self.num_pictures = 0
        self.views: list[BoardView] = []
        self.times_s: list[float] = []

    def at(self, frame: VideoFrame | None, board: Board, moment: int) -> None:
        """Look at the next picture."""
        if frame is None:
            return
        height, width = frame.picture.shape[:2]
        self.size = self.size or (height, width)
        if self.size != (height, width):
            raise ValueError(f"{self.name}: changes the size of its pictures, {self.size} to {(height, width)} (h x w)")
        self.num_pictures += 1
        if (view := find_board(frame.picture, board, moment)) is not None:
            self.views.append(view)
            self.times_s.append(frame.time_s + self.offset_s)

    def film(self) -> BoardFilm:
        """All that was seen."""
        return BoardFilm(
            name=self.name,
            size=self.size or (1, 1),
            num_pictures=self.num_pictures,
            views=tuple(self.views),
            times_s=tuple(self.times_s),
        )


def _moments(
    sources: Sequence[Source], config: FilmConfig, offsets_s: Float[ndarray, " c"]
) -> Iterator[tuple[VideoFrame | None, ...]]:
    if all(source.rate_hz is None for source in sources):
        return synchronised_frames([source.frames() for source in sources], offsets_s, config.rate_hz)
    return _at_same_time([source.frames() for source in sources])


def _at_same_time(films: Sequence[Iterator[VideoFrame]]) -> Iterator[tuple[VideoFrame | None, ...]]:
    """Pictures whose times are equal, which those of folders are."""
    ahead = [next(film, None) for film in films]
    while times := [frame.time_s for frame in ahead if frame is not None]:
        now = [frame if frame is not None and frame.time_s == min(times) else None for frame in ahead]
        yield tuple(now)
        ahead = [next(film, None) if at else before for film, at, before in zip(films, now, ahead, strict=True)]
