"""Films of a board to calibrated cameras in one world."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.capture.upright import SHORTEST, mean_up, turn_between

from .board import Board, corners_m
from .detect import BoardView
from .film import BoardFilm
from .lens_fit import LensFit, fit_lens
from .rig_fit import RigFit, fit_rig

MOST_LENS_VIEWS: Final = 30
MOST_SHARED: Final = 40  # moments of a pair of cameras


def fit_lenses(films: Sequence[BoardFilm], board: Board, *, is_fisheye: bool = False) -> list[LensFit]:
    """The lens of each camera. Raises ValueError for one that saw the board too seldom."""
    return [fit_lens(film.name, film.size, diverse_views(film, board), board, is_fisheye=is_fisheye) for film in films]


def diverse_views(film: BoardFilm, board: Board, count: int = MOST_LENS_VIEWS) -> list[BoardView]:
    """At most ``count`` views that differ most in the board's place, size, tilt and turn, by their moments."""
    if len(film.views) <= count:
        return list(film.views)
    looks = np.stack([_look(view, film.size, board) for view in film.views])
    chosen = [int(np.argmax([len(view.ids) for view in film.views]))]
    distances = np.linalg.norm(looks - looks[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(looks - looks[chosen[-1]], axis=1))
    return [film.views[index] for index in sorted(chosen)]


def _look(view: BoardView, size: tuple[int, int], board: Board) -> Float[ndarray, "8"]:
    """The homography from the board, a unit wide, to the picture, a unit wide: place, size, turn and tilt."""
    plane = corners_m(board)[view.ids, :2]
    plane, pixels = plane / np.ptp(corners_m(board), axis=0).max(), view.points_px / max(size)
    rows = [
        np.array([[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]])
        for (x, y), (u, v) in zip(plane, pixels, strict=True)
    ]
    matrix = np.linalg.svd(np.concatenate(rows))[2][-1]
    return matrix[:8] / matrix[8]


def calibrate_rig(lenses: Sequence[LensFit], films: Sequence[BoardFilm], board: Board) -> RigFit:
    """The cameras of ``lenses`` in one world by what ``films`` show at the same moments; raises as ``fit_rig``."""
    moments = [[view.moment for view in film.views] for film in films]
    wanted: set[int] = set()
    for first, second in combinations(moments, 2):
        common = sorted(set(first) & set(second))
        wanted |= set(common[:: -(-len(common) // MOST_SHARED)] if common else [])
    return fit_rig(lenses, [[view for view in film.views if view.moment in wanted] for film in films], board)


def upright_rig(rig: RigFit, board: Board) -> RigFit:
    """In a z-up world by the mean of the cameras' up axes, with the origin below the middle of all boards, at the
    height of the lowest corner seen."""
    up = mean_up(rig.cameras)
    turn = np.eye(4)
    turn[:3, :3] = turn_between(up) if np.linalg.norm(up) > SHORTEST else np.eye(3)
    poses = turn @ rig.boards
    corners = np.einsum("bij,nj->bni", poses[:, :3, :3], corners_m(board)) + poses[:, None, :3, 3]
    turn[:3, 3] = -np.array([*corners.mean(axis=(0, 1))[:2], corners[..., 2].min()])
    return moved_rig(rig, turn)


def floor_rig(rig: RigFit, moment: int, board: Board) -> RigFit:
    """In the z-up world of the board at ``moment``, when it lay on the floor: the origin is its middle, x along its
    rows. Raises ValueError where no two cameras saw it then."""
    if moment not in rig.moments:
        raise ValueError(
            "the board on the floor was not seen by two cameras; film it where they see it, or leave it out"
        )
    house_from_board = np.diag([1.0, -1.0, -1.0, 1.0])  # the board's z points into the floor
    house_from_board[:3, 3] = -house_from_board[:3, :3] @ corners_m(board).mean(axis=0)
    return moved_rig(rig, house_from_board @ np.linalg.inv(rig.boards[rig.moments.index(moment)]))


def moved_rig(rig: RigFit, new_from_old: Float[ndarray, "4 4"]) -> RigFit:
    """The same rig in another world."""
    old_from_new = np.linalg.inv(new_from_old)
    cameras: tuple[Calibration, ...] = tuple(
        replace(camera, camera_from_world=camera.camera_from_world @ old_from_new) for camera in rig.cameras
    )
    return replace(rig, cameras=cameras, boards=new_from_old @ rig.boards)
