"""Boards that cameras are calibrated with: a checkerboard, or a ChArUco board, whose corners carry numbers."""

import base64
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

MOST = 100  # squares along a side
DICTIONARY: Final = "DICT_4X4_250"
EXPECTED: Final = (
    "charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY], counting squares, or checkerboard:COLUMNSxROWS:SQUARE_MM, "
    "counting inner corners"
)


@dataclass(frozen=True, kw_only=True)
class Checkerboard:
    """A checkerboard with ``columns`` by ``rows`` inner corners, where four squares meet."""

    columns: int
    rows: int
    square_m: float

    def __post_init__(self) -> None:
        _check_sizes(self.columns, self.rows, self.square_m, least=3)

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of inner corners."""
        return self.columns, self.rows

    def __str__(self) -> str:
        return f"checkerboard:{self.columns}x{self.rows}:{1000 * self.square_m:g}"


@dataclass(frozen=True, kw_only=True)
class Charuco:
    """A ChArUco board of ``columns`` by ``rows`` squares, the white ones with markers of one of OpenCV's dictionaries.

    ``is_legacy`` is the arrangement of OpenCV before 4.6, which differs where the number of rows is even.
    """

    columns: int
    rows: int
    square_m: float
    marker_m: float
    dictionary: str = DICTIONARY
    is_legacy: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self.columns, self.rows, self.square_m, least=3)
        if not 0 < self.marker_m < self.square_m:
            raise ValueError(
                f"board: expected markers smaller than squares, got {1000 * self.marker_m:g} mm in "
                f"{1000 * self.square_m:g} mm"
            )
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            known = ", ".join(name for name in dir(cv2.aruco) if name.startswith("DICT_"))
            raise ValueError(f"board: expected one of OpenCV's dictionaries, {known}; got {self.dictionary!r:.40}")
        markers, needed = len(self.opencv_dictionary.bytesList), (self.columns * self.rows) // 2
        if needed > markers:
            raise ValueError(f"board: needs {needed} markers, {self.dictionary} has {markers}; choose a larger one")

    @property
    def opencv_dictionary(self) -> cv2.aruco.Dictionary:
        """OpenCV's table of markers."""
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @property
    def opencv_board(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's own description, in metres."""
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, self.opencv_dictionary)
        board.setLegacyPattern(self.is_legacy)
        return board

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of inner corners."""
        return self.columns - 1, self.rows - 1

    def __str__(self) -> str:
        sizes = f"{1000 * self.square_m:g}:{1000 * self.marker_m:g}"
        return f"charuco:{self.columns}x{self.rows}:{sizes}:{self.dictionary}"


Board = Checkerboard | Charuco


def parse_board(text: str) -> Board:
    """The board in words such as ``charuco:5x7:40:30:DICT_5X5_100`` or ``checkerboard:7x4:60``.

    Raises ValueError saying what is expected.
    """
    kind, *words = text.split(":")
    try:
        columns, rows = (int(word) for word in words[0].lower().split("x"))
        lengths_m = [float(word) / 1000 for word in words[1:3]]
        match kind, lengths_m, words[3:]:
            case "checkerboard", [square_m], []:
                return Checkerboard(columns=columns, rows=rows, square_m=square_m)
            case "charuco", [square_m, marker_m], [*names] if len(names) < 2:
                name = names[0].upper() if names else DICTIONARY
                return Charuco(columns=columns, rows=rows, square_m=square_m, marker_m=marker_m, dictionary=name)
            case _:
                pass
    except (ValueError, IndexError) as error:
        if str(error).startswith("board:"):
            raise
    raise ValueError(f"board: expected {EXPECTED}; got {text!r:.80}")


def corners_m(board: Board) -> Float[ndarray, "n 3"]:
    """The inner corners, row by row: x along the rows, y down the columns, z into the board, the first at 0."""
    columns, rows = board.grid
    y, x = np.divmod(np.arange(columns * rows), columns)
    return board.square_m * np.stack([x, y, np.zeros_like(x)], axis=1).astype(np.float64)


def symmetries(board: Board) -> Int[ndarray, "s n"]:
    """The numberings of the corners that a picture cannot tell apart: those of the turned board that looks the same.

    The first is the numbering itself, and the only one of a ChArUco board. A checkerboard turned by half looks the same
    when both its counts of inner corners are even or both odd; a square one with an even count also by a quarter.
    """
    columns, rows = board.grid
    numbers = np.arange(columns * rows).reshape(rows, columns)
    turns = [0]
    if isinstance(board, Checkerboard):
        turns += [2] if (columns + rows) % 2 == 0 else []
        turns += [1, 3] if columns == rows and columns % 2 == 0 else []
    return np.stack([np.rot90(numbers, turn).ravel() for turn in turns])


def draw_board(board: Board, square_px: int, margin_px: int) -> UInt8[ndarray, "h w"]:
    """A picture of the board with a white margin, for print and for tests."""
    if isinstance(board, Charuco):
        size = (board.columns * square_px + 2 * margin_px, board.rows * square_px + 2 * margin_px)
        return board.opencv_board.generateImage(size, marginSize=margin_px)
    y, x = np.indices((board.rows + 1, board.columns + 1))
    squares = np.where((x + y) % 2 == 0, 0, 255).astype(np.uint8)
    picture = np.kron(squares, np.ones((square_px, square_px), np.uint8))
    return np.pad(picture, margin_px, constant_values=255)


def board_svg(board: Board) -> str:
    """The board for print: an SVG of its true size, with a margin of a square, and its name below."""
    square_px, square_mm = 120, 1000 * board.square_m
    picture = draw_board(board, square_px, square_px)
    data = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    height, width = (square_mm / square_px * side for side in picture.shape)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}"><image width="{width:g}" height="{height:g}" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
        f'<text x="{square_mm:g}" y="{height - square_mm / 3:g}" font-size="{square_mm / 6:g}">{board}: '
        f"print at 100 %, measure a square: {square_mm:g} mm</text></svg>"
    )


def _check_sizes(columns: int, rows: int, square_m: float, least: int) -> None:
    if not (least <= columns <= MOST and least <= rows <= MOST):
        raise ValueError(f"board: expected {least} to {MOST} columns and rows, got {columns} x {rows}")
    if not 0.001 <= square_m <= 10:
        raise ValueError(f"board: expected squares of 1 to 10000 mm, got {1000 * square_m:g}")
