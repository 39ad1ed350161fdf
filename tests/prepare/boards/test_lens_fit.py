"""Lenses recovered from what they show."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import find_board, fit_lens, parse_board
from avatar.prepare.boards.lens import ASPECT, FOCAL

from .filming import HEIGHT, WIDTH, camera, seen, waved

BOARD = parse_board("checkerboard:7x4:60")
SIZE = HEIGHT, WIDTH


@pytest.mark.parametrize("focal_px", [380.0, 620.0, 1500.0])
def test_a_lens_is_found(focal_px: float):
    lens = camera(focal_px=focal_px)
    poses = waved(BOARD, 16, distance_m=0.9 * focal_px / 620, reach=0.33 * 620 / focal_px)
    fit = fit_lens("a", SIZE, seen(lens, BOARD, poses), BOARD)
    intrinsics = fit.camera.intrinsics_px
    assert abs(np.log(intrinsics[0, 0] / focal_px)) < max(2e-3, 4 * fit.deviations[FOCAL])
    assert (np.abs(intrinsics[:2, 2] - (331, 228)) < np.maximum(1, 4 * fit.deviations[2:4])).all()
    assert fit.rms_px == pytest.approx(0.05 * np.sqrt(2), rel=0.1)
    assert fit.deviations[FOCAL] < 3e-3
    if focal_px < 1000:
        assert fit.camera.distortion[0] == pytest.approx(-0.21, abs=0.02)


def test_a_lens_is_found_in_pictures(film: tuple[Calibration, list[np.ndarray]]):
    views = [find_board(picture, BOARD, moment) for moment, picture in enumerate(film[1])]
    fit = fit_lens("a", SIZE, [view for view in views if view is not None], BOARD)
    assert fit.camera.intrinsics_px[0, 0] == pytest.approx(620, rel=2e-3)
    np.testing.assert_allclose(fit.camera.intrinsics_px[:2, 2], (331, 228), atol=1.0)
    assert fit.camera.distortion[0] == pytest.approx(-0.2, abs=0.01)
    assert fit.rms_px < 0.15


def test_a_fisheye_is_found():
    lens = camera(focal_px=300.0, distortion=(0.03, -0.01, 0.0, 0.0), is_fisheye=True)
    views = seen(lens, BOARD, waved(BOARD, 16, distance_m=0.5, reach=0.6))
    fit = fit_lens("a", SIZE, views, BOARD, is_fisheye=True)
    assert fit.camera.intrinsics_px[0, 0] == pytest.approx(300, rel=2e-3)
    assert fit.rms_px < 0.08
    assert fit.camera.is_fisheye


def test_pixels_that_are_not_square_are_noticed():
    lens = camera()
    stretched = replace(lens, intrinsics_px=lens.intrinsics_px * np.array([[1.0], [1.05], [1.0]]))
    fit = fit_lens("a", SIZE, seen(stretched, BOARD, waved(BOARD, 12, reach=0.25)), BOARD)
    assert fit.deviations[ASPECT] > 0
    assert fit.camera.intrinsics_px[1, 1] / fit.camera.intrinsics_px[0, 0] == pytest.approx(1.05, rel=1e-3)
    square = fit_lens("a", SIZE, seen(lens, BOARD, waved(BOARD, 12, reach=0.25)), BOARD)
    assert square.deviations[ASPECT] == 0


def test_views_that_do_not_fit_are_dropped():
    views = seen(camera(), BOARD, waved(BOARD, 12))
    bad = replace(views[3], points_px=views[3].points_px[np.random.default_rng(0).permutation(len(views[3].ids))])
    fit = fit_lens("a", SIZE, [*views[:3], bad, *views[4:]], BOARD)
    assert fit.num_dropped == 1
    assert fit.camera.intrinsics_px[0, 0] == pytest.approx(620, rel=2e-3)


def test_a_board_that_is_never_tilted_leaves_the_focal_length_open():
    poses = waved(BOARD, 12)
    for pose in poses:
        pose[:3, :3] = np.eye(3)
    fit = fit_lens("a", SIZE, seen(camera(distortion=(0,) * 5), BOARD, poses), BOARD)
    assert fit.deviations[FOCAL] > 0.05


def test_too_few_views_are_an_error_that_says_what_to_film():
    with pytest.raises(ValueError, match=r"a: the board is seen in 2 of its pictures.*film it"):
        fit_lens("a", SIZE, seen(camera(), BOARD, waved(BOARD, 2, reach=0.1)), BOARD)
