"""Cameras calibrated, and calibrations checked, with a board of known size: ChArUco or checkerboard."""

from .advice import lens_warnings, rig_warnings
from .board import Board, Charuco, Checkerboard, board_svg, corners_m, draw_board, parse_board
from .calibrate import calibrate_rig, diverse_views, fit_lenses, floor_rig, moved_rig, upright_rig
from .calibration_file import write_calibrations
from .check import CameraCheck, LensFault, check_calibration, check_views
from .clocks import on_one_clock, synchronise_boards
from .detect import BoardView, find_board
from .drawing import draw_lenses, draw_rig
from .film import BoardFilm, FilmConfig, see_boards
from .lens_fit import LensFit, fit_lens
from .one_lens import one_lens
from .rig_check import RigCheck, check_rig
from .rig_fit import Link, RigFit, fit_rig

__all__ = [
    "Board",
    "BoardFilm",
    "BoardView",
    "CameraCheck",
    "Charuco",
    "Checkerboard",
    "FilmConfig",
    "LensFault",
    "LensFit",
    "Link",
    "RigCheck",
    "RigFit",
    "board_svg",
    "calibrate_rig",
    "check_calibration",
    "check_rig",
    "check_views",
    "corners_m",
    "diverse_views",
    "draw_board",
    "draw_lenses",
    "draw_rig",
    "find_board",
    "fit_lens",
    "fit_lenses",
    "fit_rig",
    "floor_rig",
    "lens_warnings",
    "moved_rig",
    "on_one_clock",
    "one_lens",
    "parse_board",
    "rig_warnings",
    "see_boards",
    "synchronise_boards",
    "upright_rig",
    "write_calibrations",
]
