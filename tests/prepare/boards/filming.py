"""Boards before cameras that are known: where their corners are seen, and pictures of them."""

from collections.abc import Sequence

import cv2
import numpy as np

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import Board, BoardView, corners_m, draw_board
from avatar.prepare.boards.lens import project

HEIGHT, WIDTH = 480, 640


def camera(
    name: str = "a",
    focal_px: float = 620.0,
    principal_px: tuple[float, float] = (331.0, 228.0),
    distortion: Sequence[float] = (-0.21, 0.07, 0.001, -0.0005, 0.0),
    camera_from_world: np.ndarray | None = None,
    is_fisheye: bool = False,
) -> Calibration:
    """A camera with a lens that bends."""
    return Calibration(
        name=name,
        intrinsics_px=np.array([[focal_px, 0, principal_px[0]], [0, focal_px, principal_px[1]], [0, 0, 1]]),
        camera_from_world=np.eye(4) if camera_from_world is None else camera_from_world,
        distortion=np.array(distortion, np.float64),
        size=(HEIGHT, WIDTH),
        is_fisheye=is_fisheye,
    )


def rigid(turn: Sequence[float] | np.ndarray, shift: Sequence[float] | np.ndarray) -> np.ndarray:
    """A transform of a rotation vector and a translation."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(np.array(turn, np.float64))[0], shift
    return pose


def waved(board: Board, count: int, seed: int = 0, distance_m: float = 0.9, reach: float = 0.33) -> list[np.ndarray]:
    """``camera_from_board`` of a board that is waved about before a camera: tilted, near and far, all over."""
    generator = np.random.default_rng(seed)
    middle = corners_m(board).mean(axis=0)
    poses = []
    for _ in range(count):
        turn = generator.uniform(-0.6, 0.6, 3)
        depth = distance_m * generator.uniform(0.7, 1.3)
        place = depth * np.array([*generator.uniform(-reach, reach, 2) * (1.2, 0.9), 1.0])
        pose = rigid(turn, (0, 0, 0))
        pose[:3, 3] = place - pose[:3, :3] @ middle
        poses.append(pose)
    return poses


def seen(
    calibration: Calibration, board: Board, poses: Sequence[np.ndarray], noise_px: float = 0.05, seed: int = 0
) -> list[BoardView]:
    """Views of the board in ``poses`` of the world, with the corners that lie in the picture."""
    generator = np.random.default_rng(seed)
    views = []
    for moment, pose in enumerate(poses):
        full = calibration.camera_from_world @ pose
        points = corners_m(board) @ full[:3, :3].T + full[:3, 3]
        if points[:, 2].min() < 0.1 or full[2, 2] < 0.3:
            continue
        pixels = project(calibration, points)[0]
        is_inside = ((pixels > 4) & (pixels < (WIDTH - 4, HEIGHT - 4))).all(axis=1)
        if is_inside.sum() >= 12:
            noisy = pixels + noise_px * generator.standard_normal(pixels.shape)
            views.append(BoardView(moment=moment, ids=np.flatnonzero(is_inside), points_px=noisy[is_inside]))
    return views


def filmed(calibration: Calibration, board: Board, pose: np.ndarray, finer: int = 3) -> np.ndarray:
    """A picture of the board in a pose of the camera, through the lens, on grey; ``h w 3``, sRGB."""
    square_px, margin_px = 60, 60
    drawn = draw_board(board, square_px, margin_px)
    rows, columns = np.indices((HEIGHT * finer, WIDTH * finer)).reshape(2, -1)
    pixels = (np.stack([columns, rows], axis=1) + 0.5) / finer
    undistort = cv2.fisheye.undistortPoints if calibration.is_fisheye else cv2.undistortPoints
    slopes = undistort(pixels[:, None], calibration.intrinsics_px, calibration.distortion)[:, 0]
    rays = np.column_stack([slopes, np.ones(len(slopes))])
    plane = np.linalg.inv(pose[:3, [0, 1, 3]])  # from the camera's axes to the board's x, y, 1
    hits = rays @ plane.T
    places = hits[:, :2] / hits[:, 2:] / board.square_m * square_px + margin_px + square_px - 0.5
    x, y = places.T.reshape(2, HEIGHT * finer, WIDTH * finer).astype(np.float32)
    fine = cv2.remap(drawn, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(128,))
    grey = cv2.resize(fine, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)
