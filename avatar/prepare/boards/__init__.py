"""Cameras calibrated, and calibrations checked, with a board of known size: ChArUco or checkerboard."""

from .board import Board, Charuco, Checkerboard, corners_m, draw_board, parse_board
from .check import CameraCheck, LensFault, check_calibration, check_views
from .detect import BoardView, find_board
from .lens_fit import LensFit, fit_lens

__all__ = [
    "Board",
    "BoardView",
    "CameraCheck",
    "Charuco",
    "Checkerboard",
    "LensFault",
    "LensFit",
    "check_calibration",
    "check_views",
    "corners_m",
    "draw_board",
    "find_board",
    "fit_lens",
    "parse_board",
]
