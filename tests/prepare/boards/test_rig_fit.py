"""Cameras placed by boards that several see at the same moments."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.capture.camera_files import read_calibrations
from avatar.prepare.boards import (
    Board,
    BoardFilm,
    BoardView,
    LensFit,
    RigFit,
    calibrate_rig,
    corners_m,
    fit_rig,
    floor_rig,
    parse_board,
    upright_rig,
    write_calibrations,
)
from avatar.prepare.boards.board import symmetries

from .filming import HEIGHT, WIDTH, camera, rigid, seen

BOARD = parse_board("checkerboard:6x4:80")


def ring(count: int = 3) -> list[Calibration]:
    """Cameras on an arc about the origin, with y down."""
    cameras = []
    for index in range(count):
        angle = 0.5 * (index - (count - 1) / 2)
        eye = 2.2 * np.array([np.sin(angle), -0.1 - 0.1 * index, -np.cos(angle)])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ eye
        cameras.append(camera(f"c{index}", focal_px=600.0 + 20 * index, camera_from_world=pose))
    return cameras


def wielded(board: Board, count: int, seed: int = 1) -> list[np.ndarray]:
    """``world_from_board`` of a board that is waved about the origin."""
    generator, middle, poses = np.random.default_rng(seed), corners_m(board).mean(axis=0), []
    for _ in range(count):
        pose = rigid(generator.uniform(-0.5, 0.5, 3) * (1, 1, 2), (0, 0, 0))
        pose[:3, 3] = generator.uniform(-0.4, 0.4, 3) - pose[:3, :3] @ middle
        poses.append(pose)
    return poses


def known(lens: Calibration) -> LensFit:
    """A lens as a fit of its own pictures leaves it: off by a third of a per cent and a pixel."""
    intrinsics = lens.intrinsics_px + np.array([[2.0, 0, 0.8], [0, 2.0, -0.6], [0, 0, 0]])
    off = replace(lens, intrinsics_px=intrinsics, camera_from_world=np.eye(4))
    deviations = np.array([4e-3, 0, 1.5, 1.5, 0.01, 0.02, 1e-3, 1e-3, 0])
    return LensFit(camera=off, views=(), num_dropped=0, rms_px=0.1, held_out_px=0.1, deviations=deviations)


def misnumbered(views: list[BoardView], board: Board, seed: int) -> list[BoardView]:
    """As cameras that hold the board turned would number its corners."""
    generator, turns = np.random.default_rng(seed), symmetries(board)
    return [view.numbered(turns[generator.integers(len(turns))]) for view in views]


def fitted(cameras: list[Calibration], views: list[list[BoardView]], board: Board = BOARD) -> RigFit:
    return fit_rig([known(each) for each in cameras], views, board)


def check_poses(rig: RigFit, cameras: list[Calibration], shift_m: float = 4e-3, turn_rad: float = 2.5e-3) -> None:
    for found, truth in zip(rig.cameras, cameras, strict=True):
        pose = truth.camera_from_world @ np.linalg.inv(cameras[0].camera_from_world)
        turn = found.camera_from_world[:3, :3] @ pose[:3, :3].T
        assert np.arccos(min(1.0, (np.trace(turn) - 1) / 2)) < turn_rad
        np.testing.assert_allclose(found.centre_world, -pose[:3, :3].T @ pose[:3, 3], atol=shift_m)


@pytest.mark.parametrize("text", ["checkerboard:6x4:80", "checkerboard:6x6:70", "charuco:7x5:80:60"])
def test_cameras_stand_where_they_stood(text: str):
    board, cameras = parse_board(text), ring()
    poses = wielded(board, 15)
    views = [misnumbered(seen(each, board, poses, seed=i), board, i) for i, each in enumerate(cameras)]
    rig = fitted(cameras, views, board)
    check_poses(rig, cameras)
    assert rig.num_dropped == 0
    assert max(rig.rms_px) < 0.08
    for found, truth in zip(rig.cameras, cameras, strict=True):  # together, boards tell lenses better
        assert found.intrinsics_px[0, 0] == pytest.approx(truth.intrinsics_px[0, 0], rel=1e-3)


def test_views_at_other_moments_are_dropped():
    cameras, poses = ring(), wielded(BOARD, 15)
    views = [seen(each, BOARD, poses, seed=i) for i, each in enumerate(cameras)]
    views[2][4], views[2][9] = (
        replace(views[2][4], points_px=views[2][9].points_px),
        replace(views[2][9], points_px=views[2][4].points_px),
    )
    rig = fitted(cameras, views)
    check_poses(rig, cameras)
    assert rig.num_dropped == 2


def test_a_camera_that_never_saw_the_board_with_another_is_named():
    cameras, poses = ring(), wielded(BOARD, 12)
    views = [seen(each, BOARD, poses, seed=i) for i, each in enumerate(cameras)]
    views[1] = [replace(view, moment=view.moment + 100) for view in views[1]]
    with pytest.raises(ValueError, match=r"^c1: no moment shows where they stand to c0, c2; film the board"):
        fitted(cameras, views)


def test_a_board_that_could_be_turned_is_no_tie():
    cameras, poses = ring(2), wielded(BOARD, 1) * 12  # it never moves
    views = [seen(each, BOARD, poses, seed=i) for i, each in enumerate(cameras)]
    with pytest.raises(ValueError, match=r"c1: .*turning it"):
        fitted(cameras, views)


def test_too_many_moments_are_thinned():
    cameras, poses = ring(2), wielded(BOARD, 50)
    seen_by = [tuple(seen(each, BOARD, poses, seed=i)) for i, each in enumerate(cameras)]
    films = [
        BoardFilm(name="c", size=(HEIGHT, WIDTH), num_pictures=60, views=views, times_s=(0.0,) * len(views))
        for views in seen_by
    ]
    rig = calibrate_rig([known(each) for each in cameras], films, BOARD)
    assert 20 <= len(rig.moments) <= 40
    check_poses(rig, cameras)


def test_the_world_is_upright_or_the_floor():
    cameras, poses = ring(), wielded(BOARD, 12)
    rig = fitted(cameras, [seen(each, BOARD, poses, seed=i) for i, each in enumerate(cameras)])
    upright = upright_rig(rig, BOARD)
    up = np.mean([-each.camera_from_world[1, :3] for each in upright.cameras], axis=0)
    np.testing.assert_allclose(up / np.linalg.norm(up), [0, 0, 1], atol=1e-9)
    floor = floor_rig(rig, rig.moments[2], BOARD)
    corners = corners_m(BOARD) @ floor.boards[2][:3, :3].T + floor.boards[2][:3, 3]
    np.testing.assert_allclose(corners[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(corners.mean(axis=0), 0, atol=1e-9)
    assert all(each.centre_world[2] > 0 for each in floor.cameras)  # they look at its face
    with pytest.raises(ValueError, match="the board on the floor was not seen"):
        floor_rig(rig, 999, BOARD)


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_files_are_read_back(tmp_path, suffix: str):
    fisheye = camera('f"1 é', distortion=(0.1, 0.02, 0.003, 0.004), is_fisheye=True)
    written = [*ring(), fisheye]
    write_calibrations(written, tmp_path / f"c{suffix}")
    for found, truth in zip(read_calibrations(tmp_path / f"c{suffix}"), written, strict=True):
        assert (found.name, found.size, found.is_fisheye) == (truth.name, truth.size, truth.is_fisheye)
        np.testing.assert_allclose(found.intrinsics_px, truth.intrinsics_px, rtol=1e-14)
        np.testing.assert_array_equal(found.distortion, truth.distortion)
        np.testing.assert_allclose(found.camera_from_world, truth.camera_from_world, atol=1e-14)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.json or \.toml"):
        write_calibrations(ring(), tmp_path / "c.yml")
    with pytest.raises(ValueError, match="c0 does not know the size"):
        write_calibrations([replace(ring()[0], size=None)], tmp_path / "c.json")
