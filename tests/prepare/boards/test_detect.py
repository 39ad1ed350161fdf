"""Corners of boards in pictures that are rendered with known cameras."""

import numpy as np
import pytest

from avatar.prepare.boards import Board, corners_m, find_board, parse_board
from avatar.prepare.boards.detect import spans_plane
from avatar.prepare.boards.lens import project

from .filming import camera, filmed, rigid, waved

BOARDS = ("checkerboard:7x4:60", "charuco:6x5:80:60")


def truth(board: Board, pose: np.ndarray) -> np.ndarray:
    points = corners_m(board) @ pose[:3, :3].T + pose[:3, 3]
    return project(camera(), points)[0]


@pytest.mark.parametrize("text", BOARDS)
def test_corners_are_found_to_a_part_of_a_pixel(text: str):
    board = parse_board(text)
    for moment, pose in enumerate(waved(board, 2, reach=0.1)):
        view = find_board(filmed(camera(), board, pose, finer=2), board, moment)
        assert view is not None
        assert view.moment == moment
        assert len(view.ids) >= 12
        errors = view.points_px - truth(board, pose)[view.ids]
        assert np.abs(errors.mean(axis=0)).max() < 0.05  # pixel centres are at .5
        assert np.sqrt(np.square(errors).sum(axis=1).mean()) < 0.2


@pytest.mark.parametrize("quarters", range(4))
def test_a_checkerboard_is_numbered_alike_however_it_is_held(quarters: int):
    board = parse_board("checkerboard:6x5:60")
    middle = corners_m(board).mean(axis=0)
    pose = rigid((0, 0, quarters * np.pi / 2), (0, 0, 0))
    pose[:3, 3] = (0.0, 0.0, 1.0) - pose[:3, :3] @ middle
    view = find_board(filmed(camera(), board, pose, finer=2), board)
    assert view is not None
    np.testing.assert_allclose(view.points_px, truth(board, pose), atol=0.3)


@pytest.mark.parametrize("text", BOARDS)
def test_no_board_is_none(text: str):
    board = parse_board(text)
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    assert find_board(noise, board) is None
    assert find_board(np.zeros((1, 1, 3), np.uint8), board) is None
    assert find_board(np.full((60, 80, 3), 255, np.uint8), board) is None


def test_corners_of_one_row_and_another_are_no_view():
    """A row of a ChArUco board and one corner beside it leave the board's turn about the row open."""
    assert not spans_plane(np.array([0, 1, 2, 3, 4, 11]), columns=7)
    assert not spans_plane(np.array([0, 1, 7, 8]), columns=7)
    assert spans_plane(np.array([0, 1, 2, 3, 7, 11]), columns=7)
