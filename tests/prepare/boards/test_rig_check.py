"""Cameras that are calibrated wrongly are found among those that are not."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.prepare.boards import check_rig, parse_board

from .filming import rigid, seen
from .test_rig_fit import fitted, ring, wielded

BOARD = parse_board("checkerboard:6x4:80")


def test_where_cameras_stand_is_checked():
    cameras, poses = ring(), wielded(BOARD, 15)
    rig = fitted(cameras, [seen(each, BOARD, poses, seed=i) for i, each in enumerate(cameras)])
    world = rigid((0.4, 1.0, -0.3), (5, 6, 7))  # of the calibration, which need not be ours
    given = [replace(each, camera_from_world=each.camera_from_world @ world) for each in cameras]
    check = check_rig(given, rig, BOARD)
    assert check.given_px == pytest.approx(check.refitted_px, rel=0.1)
    assert max(check.shifts_m) < 5e-3
    assert check.scale == pytest.approx(1, abs=2e-3)
    assert all("stands where it should" in sentence for sentence in check.sentences)

    moved = rigid((0, np.radians(1.0), 0), (0, 0, 0)) @ given[2].camera_from_world
    check = check_rig([*given[:2], replace(given[2], camera_from_world=moved)], rig, BOARD)
    assert max(check.given_px) > 20 * max(check.refitted_px)
    assert "stands elsewhere" in check.sentences[2]

    larger = [each.scaled_world(1.02) for each in given]
    assert "+2.0 % too large" in check_rig(larger, rig, BOARD).sentences[0]
