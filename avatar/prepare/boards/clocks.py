"""How the clocks of films of a board differ, from how fast the board moves in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from ..synchronise import MotionSignal, Synchronisation, synchronise
from .board import Board, corners_m
from .film import BoardFilm
from .lens import board_pose

GAP: Final = 1.5  # the board was lost where views are farther apart, in their usual distance


def synchronise_boards(lenses: Sequence[Calibration], films: Sequence[BoardFilm], board: Board) -> Synchronisation:
    """What to add to each film's time, good to the distance of the pictures that were looked at.

    Raises ValueError for a film with fewer than three views.
    """
    return synchronise([board_motion(lens, film, board) for lens, film in zip(lenses, films, strict=True)])


def board_motion(lens: Calibration, film: BoardFilm, board: Board) -> MotionSignal:
    """Metres a second of the board's middle, which are the same in all cameras' axes; NaN where the board was lost."""
    if len(film.views) < 3:
        raise ValueError(f"{film.name}: the board is seen too seldom to compare clocks; film it longer")
    corners, times = corners_m(board), np.array(film.times_s)
    middle = np.append(corners.mean(axis=0), 1)
    places = np.stack([(board_pose(lens, view, corners) @ middle)[:3] for view in film.views])
    steps = np.diff(times)
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / steps
    return MotionSignal(
        times_s=(times[1:] + times[:-1]) / 2,
        values=np.where(steps > GAP * np.median(steps), np.nan, speeds)[:, None],
    )


def on_one_clock(films: Sequence[BoardFilm], offsets_s: Float[ndarray, " c"]) -> list[BoardFilm]:
    """The films by a common clock: views belong to one moment that are within half the distance of pictures."""
    times = [np.array(film.times_s) + offset for film, offset in zip(films, offsets_s, strict=True)]
    period_s = min(float(np.median(np.diff(each))) for each in times)
    start_s = min(float(each[0]) for each in times)
    moved = []
    for film, each in zip(films, times, strict=True):
        moments, first = np.unique(np.round((each - start_s) / period_s).astype(int), return_index=True)
        views = tuple(replace(film.views[i], moment=int(moment)) for moment, i in zip(moments, first, strict=True))
        moved.append(replace(film, views=views, times_s=tuple(each[first].tolist())))
    return moved
