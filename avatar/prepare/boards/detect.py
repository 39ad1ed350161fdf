"""Corners of a board in a picture, to a small part of a pixel, by OpenCV's detectors."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from .board import Board, Charuco, Checkerboard

FEWEST = 6  # corners of a view
ATTEMPTS = 3
BEND = 0.6  # steps along a row of corners change at most by this share of them
LOOK_PX = 1000  # the larger side of a picture in which a checkerboard is looked for
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


def find_board(picture: UInt8[ndarray, "h w 3"], board: Board, moment: int = 0) -> BoardView | None:
    """The board in an sRGB picture; None where it is not seen well enough to know where it is.

    A checkerboard is found whole or not at all.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    match board:
        case Charuco():
            found = _charuco(grey, board)
        case Checkerboard():
            found = _checkerboard(grey, board)
    if found is None or not spans_plane(found[0], board.grid[0]):
        return None
    return BoardView(moment=moment, ids=found[0], points_px=found[1] + 0.5)


def spans_plane(ids: Int[ndarray, " n"], columns: int) -> bool:
    """Whether the board's pose can be told: two of its rows are seen with two corners each."""
    rows = np.bincount(ids // columns)
    return len(ids) >= FEWEST and int((rows >= 2).sum()) >= 2


def _charuco(grey: UInt8[ndarray, "h w"], board: Charuco) -> tuple[ndarray, ndarray] | None:
    corners, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv_board).detectBoard(grey)
    if not isinstance(ids, ndarray) or not len(ids):  # None where no marker is seen
        return None
    order = np.argsort(ids.ravel())
    return ids.ravel()[order].astype(np.int64), corners.reshape(-1, 2)[order].astype(np.float64)


def _checkerboard(grey: UInt8[ndarray, "h w"], board: Checkerboard) -> tuple[ndarray, ndarray] | None:
    """Looked for in a smaller picture, which is quicker, and then measured where it is."""
    scale = min(1.0, LOOK_PX / max(grey.shape))
    if scale == 1:
        corners = _corners(grey, board)
    else:
        coarse = _corners(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), board)
        if coarse is None:
            return None
        coarse = (coarse + 0.5) / scale - 0.5
        margin = 1.5 * float(np.ptp(coarse, axis=0).max()) / (min(board.grid) - 1)
        left, top = np.maximum(coarse.min(axis=0) - margin, 0).astype(int)
        right, bottom = np.ceil(coarse.max(axis=0) + margin).astype(int)
        corners = _corners(grey[top:bottom, left:right].copy(), board)
        corners = None if corners is None else corners + np.array([left, top])
        # Of a board that is cut off, another part may be found.
        if corners is None or np.linalg.norm(corners[:, None] - coarse, axis=-1).min(axis=1).max() > 1 / scale:
            corners = _corners(grey, board)
    if corners is None:
        return None
    points = corners.reshape(board.rows, board.columns, 2)
    along, down = points[0, -1] - points[0, 0], points[-1, 0] - points[0, 0]
    if along[0] * down[1] < along[1] * down[0]:  # numbered as in a mirror
        points = points[:, ::-1]
    points = _black_first(grey, points)
    return np.arange(board.columns * board.rows), points.reshape(-1, 2)


def _corners(grey: UInt8[ndarray, "h w"], board: Checkerboard) -> Float[ndarray, "n 2"] | None:
    """The detector draws lots, the same every time; where it puts corners off the grid, which it may, others."""
    for seed in range(ATTEMPTS):
        cv2.setRNGSeed(seed)
        is_found, corners = cv2.findChessboardCornersSB(grey, board.grid, flags=ACCURATE)
        if not is_found:
            return None
        points = corners.reshape(-1, 2).astype(np.float64)
        if _is_grid(points.reshape(board.rows, board.columns, 2)):
            return points
    return None


def _is_grid(points: Float[ndarray, "r c 2"]) -> bool:
    """Whether every corner lies about half way between its neighbours."""
    for axis in (0, 1):
        steps = np.diff(points, axis=axis)
        bends, lengths = np.linalg.norm(np.diff(steps, axis=axis), axis=-1), np.linalg.norm(steps, axis=-1)
        if (bends > BEND * np.minimum(*_neighbours(lengths, axis))).any():
            return False
    return True


def _neighbours(values: Float[ndarray, "r c"], axis: int) -> tuple[ndarray, ndarray]:
    return np.delete(values, -1, axis), np.delete(values, 0, axis)


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
