"""Lenses as functions: derivatives, steps, poses of boards."""

import numpy as np
import pytest

from avatar.prepare.boards import corners_m, parse_board
from avatar.prepare.boards.lens import board_pose, lens_changes, moved_lens, num_freedoms, project

from .filming import camera, seen, waved

BOARD = parse_board("checkerboard:7x4:60")
LENSES = {
    "brown": camera(),
    "rational": camera(distortion=(-0.2, 0.1, 0.001, 0.002, 0.01, 0.1, 0.02, 0.01)),
    "fisheye": camera(distortion=(0.05, -0.02, 0.01, -0.003), is_fisheye=True),
}


@pytest.mark.parametrize("kind", LENSES)
def test_derivatives_are_those_of_differences(kind: str):
    lens, step = LENSES[kind], 1e-6
    points = np.random.default_rng(0).uniform((-0.5, -0.4, 0.8), (0.5, 0.4, 1.5), (9, 3))
    _, by_point, by_lens = project(lens, points)
    for axis in range(3):
        move = step * np.eye(3)[axis]
        slope = (project(lens, points + move)[0] - project(lens, points - move)[0]) / (2 * step)
        np.testing.assert_allclose(by_point[..., axis], slope, rtol=1e-5, atol=1e-4)
    for freedom in range(num_freedoms(lens)):
        move = step * np.eye(num_freedoms(lens))[freedom]
        slope = (project(moved_lens(lens, move), points)[0] - project(moved_lens(lens, -move), points)[0]) / (2 * step)
        np.testing.assert_allclose(by_lens[..., freedom], slope, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", LENSES)
def test_changes_undo_steps(kind: str):
    lens = LENSES[kind]
    step = np.random.default_rng(1).normal(size=num_freedoms(lens)) * 0.01
    np.testing.assert_allclose(lens_changes(moved_lens(lens, step), lens), step, atol=1e-12)


@pytest.mark.parametrize("kind", LENSES)
def test_a_board_is_posed_where_it_is(kind: str):
    lens, poses = LENSES[kind], waved(BOARD, 5)
    for view in seen(lens, BOARD, poses, noise_px=0.0):
        np.testing.assert_allclose(board_pose(lens, view, corners_m(BOARD)), poses[view.moment], atol=1e-4)
