"""Corners of a board in a picture, to a small part of a pixel, by OpenCV's detectors."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from .board import Board, Charuco, Checkerboard

FEWEST = 6  # corners of a view
ACCURATE = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardView:
    """The board in one picture.

    Attributes:
        moment: which board pose this is; pictures that several cameras took at the same time share it.
        ids: the numbers of the corners seen, of ``corners_m``, increasing.
        points_px: where they are, pixel centres at .5.
    """

    moment: int
    ids: Int[ndarray, " n"]
    points_px: Float[ndarray, "n 2"]

    def numbered(self, symmetry: Int[ndarray, " m"]) -> "BoardView":
        """The same view with its corners numbered by one of the board's ``symmetries``."""
        ids = symmetry[self.ids]
        order = np.argsort(ids)
        return replace(self, ids=ids[order], points_px=self.points_px[order])


def find_board(
    picture: UInt8[ndarray, "h w 3"], board: Board, moment: int = 0, *, thorough: bool = True
) -> BoardView | None:
    """The board in an sRGB picture; None where it is not seen well enough to know where it is.

    A checkerboard is found whole or not at all. ``thorough`` looks longer for it (about a second for 2 million pixels
    instead of a fifth), for the few pictures of a folder rather than the many of a video.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    match board:
        case Charuco():
            found = _charuco(grey, board)
        case Checkerboard():
            found = _checkerboard(grey, board, thorough)
    if found is None or not _spans_plane(found[0], board.grid[0]):
        return None
    return BoardView(moment=moment, ids=found[0], points_px=found[1] + 0.5)


def _spans_plane(ids: Int[ndarray, " n"], columns: int) -> bool:
    y, x = np.divmod(ids, columns)
    return len(ids) >= FEWEST and int(np.linalg.matrix_rank(np.cov(x, y))) == 2


def _charuco(grey: UInt8[ndarray, "h w"], board: Charuco) -> tuple[ndarray, ndarray] | None:
    corners, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv_board).detectBoard(grey)
    if not isinstance(ids, ndarray) or not len(ids):  # None where no marker is seen
        return None
    order = np.argsort(ids.ravel())
    return ids.ravel()[order].astype(np.int64), corners.reshape(-1, 2)[order].astype(np.float64)


def _checkerboard(grey: UInt8[ndarray, "h w"], board: Checkerboard, thorough: bool) -> tuple[ndarray, ndarray] | None:
    is_found, corners = cv2.findChessboardCornersSB(grey, board.grid, flags=ACCURATE if thorough else 0)
    if not is_found:
        return None
    points = corners.reshape(board.rows, board.columns, 2).astype(np.float64)
    along, down = points[0, -1] - points[0, 0], points[-1, 0] - points[0, 0]
    if along[0] * down[1] < along[1] * down[0]:  # numbered as in a mirror
        points = points[:, ::-1]
    points = _black_first(grey, points)
    return np.arange(board.columns * board.rows), points.reshape(-1, 2)


def _black_first(grey: UInt8[ndarray, "h w"], points: Float[ndarray, "r c 2"]) -> Float[ndarray, "r c 2"]:
    """Turned so that the first four corners enclose a black square, where a turn of the board changes that."""
    rows, columns = points.shape[:2]
    if (rows + columns) % 2 == 0 and (rows != columns or rows % 2 == 0):
        return points
    middles = (points[:-1, :-1] + points[1:, 1:]) / 2
    across, down = np.moveaxis(middles.astype(np.float32), -1, 0)
    levels = cv2.remap(grey, across, down, cv2.INTER_LINEAR).astype(np.float64)
    y, x = np.indices(levels.shape)
    is_white = levels[(x + y) % 2 == 0].mean() > levels[(x + y) % 2 == 1].mean()
    return np.rot90(points, 1 if rows == columns else 2) if is_white else points
