"""Boards in words, their corners and their pictures."""

import numpy as np
import pytest

from avatar.prepare.boards import Charuco, Checkerboard, corners_m, draw_board, parse_board
from avatar.prepare.boards.board import symmetries


def test_words_are_boards_and_back():
    board = parse_board("checkerboard:7x4:60")
    assert board == Checkerboard(columns=7, rows=4, square_m=0.06)
    assert parse_board(str(board)) == board
    board = parse_board("charuco:5x8:40:30:dict_5x5_100")
    assert board == Charuco(columns=5, rows=8, square_m=0.04, marker_m=0.03, dictionary="DICT_5X5_100")
    assert parse_board(str(board)) == board


@pytest.mark.parametrize(
    "text",
    [
        *("", "chess:7x4:60", "checkerboard", "checkerboard:7:60", "checkerboard:7x4", "checkerboard:7x4:60:5"),
        *("checkerboard:2x4:60", "checkerboard:7x4:0", "checkerboard:7x4:nan", "checkerboard:999999999x4:60"),
        *("charuco:5x7:40", "charuco:5x7:40:40", "charuco:5x7:40:30:DICT_9", "charuco:5x7:40:30:__class__"),
        *("charuco:40x40:40:30:DICT_4X4_50", "charuco:5x7:40:-3", "charuco:5x7:40:30:DICT_4X4_50:more"),
    ],
)
def test_other_words_are_refused(text: str):
    with pytest.raises(ValueError, match=r"board: expected|board: needs"):
        parse_board(text)


def test_corners_lie_row_by_row():
    corners = corners_m(parse_board("charuco:4x3:50:30"))  # 3 x 2 inner corners
    assert corners.tolist()[0] == [0, 0, 0]
    np.testing.assert_allclose(corners[[2, 3]], [[0.1, 0, 0], [0, 0.05, 0]])
    assert len(corners) == 6


@pytest.mark.parametrize(("grid", "count"), [("7x4", 1), ("7x5", 2), ("6x4", 2), ("5x5", 2), ("6x6", 4)])
def test_a_turned_board_that_looks_the_same_is_a_symmetry(grid: str, count: int):
    board = parse_board(f"checkerboard:{grid}:60")
    turns = symmetries(board)
    assert len(turns) == count
    corners, picture = corners_m(board), draw_board(board, 8, 0)
    numbers = np.arange(len(corners)).reshape(board.grid[::-1])
    looking_alike = [
        np.rot90(numbers, quarters).ravel().tolist()
        for quarters in range(4)
        if np.array_equal(np.rot90(picture, quarters), picture)
    ]
    assert sorted(turns.tolist()) == sorted(looking_alike)
    assert turns[0].tolist() == numbers.ravel().tolist()
