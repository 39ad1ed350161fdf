"""Camera tables: units, rotations, pixel centres and lens distortion."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from avatar.capture.calibration import calibrations_from_annots, calibrations_from_json
from avatar.capture.errors import CaptureError
from avatar.capture.pictures import Lens

PATH = Path("annots.npy")
ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
ROTATION *= np.linalg.det(ROTATION)
K = np.array([[1074.0, 0.0, 543.0], [0.0, 1075.0, 485.0], [0.0, 0.0, 1.0]])


def annots(**changes: Any) -> dict[str, Any]:
    """The published form of one camera's table, translation in millimetres."""
    return {
        "K": [K],
        "R": [ROTATION],
        "T": [np.array([[100.0], [-200.0], [3000.0]])],
        "D": [np.zeros((5, 1))],
    } | changes


@pytest.mark.parametrize("as_lists", [False, True])
def test_millimetres_become_metres(as_lists: bool) -> None:
    cams = {key: [np.asarray(value[0]).tolist()] if as_lists else value for key, value in annots().items()}
    (calibration,) = calibrations_from_annots(cams, ["B1"], PATH)
    camera = calibration.camera(1024, 1024)
    assert camera.name == "B1"
    np.testing.assert_allclose(calibration.camera_from_world[:3, :3], ROTATION, atol=1e-9)
    np.testing.assert_allclose(calibration.camera_from_world[:3, 3], [0.1, -0.2, 3.0], atol=1e-9)
    np.testing.assert_allclose(calibration.intrinsics_px, K, atol=1e-9)
    torch.testing.assert_close(camera.camera_from_world[3], torch.tensor([0.0, 0.0, 0.0, 1.0]))


def test_json_holds_metres_and_sizes() -> None:
    entry = {"K": K.tolist(), "R": ROTATION.tolist(), "T_m": [0.1, -0.2, 3.0], "width": 640, "height": 480}
    (calibration,) = calibrations_from_json({"B1": entry}, PATH)
    assert calibration.size == (480, 640)
    np.testing.assert_allclose(calibration.camera_from_world[:3, 3], [0.1, -0.2, 3.0], atol=1e-12)
    assert not calibration.distortion.any()


def test_integer_pixel_centres_are_moved_to_one_half() -> None:
    (calibration,) = calibrations_from_annots(annots(), ["B1"], PATH)
    assert calibration.from_origin("corner").intrinsics_px[:2, 2].tolist() == [543.0, 485.0]
    assert calibration.from_origin("centre").intrinsics_px[:2, 2].tolist() == [543.5, 485.5]


def test_rotations_of_few_digits_are_made_rotations() -> None:
    (calibration,) = calibrations_from_annots(annots(R=[ROTATION.round(3)]), ["B1"], PATH)
    rotation = calibration.camera_from_world[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation, ROTATION, atol=2e-3)


LOOP: list[object] = []
LOOP += [LOOP, LOOP]
BROKEN = {
    "no intrinsics": ({"K": []}, "K'"),
    "not a matrix": ({"K": [K[:2]]}, "K: expected 9 numbers"),
    "NaN": ({"K": [K * np.nan]}, "finite"),
    "no focal length": ({"K": [np.diag([0.0, 1.0, 1.0])]}, "K: expected"),
    "skewed": ({"K": [K + np.diag([1.0, 0.0], 1)]}, "K: expected"),
    "text": ({"T": [["a", "b", "c"]]}, "T: expected 3 numbers"),
    "flags": ({"T": [[True, True, True]]}, "T: expected 3 numbers"),
    "infinite": ({"T": [[np.inf, 0, 0]]}, "T: expected finite"),
    "too long an integer": ({"T": [[10**400, 0, 0]]}, "T: expected 3 numbers"),
    "a mirror": ({"R": [np.diag([1.0, 1.0, -1.0])]}, "R is no rotation"),
    "a scale": ({"R": [2 * ROTATION]}, "R is no rotation"),
    "endless nesting": ({"D": [LOOP]}, "D: expected 5 numbers"),
    "a list that is a number": ({"R": 3}, "expected a list"),
    "complex": ({"R": [ROTATION + 0j]}, "R: expected 9 numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_cameras_are_refused(name: str) -> None:
    changes, problem = BROKEN[name]
    with pytest.raises(CaptureError, match=problem):
        calibrations_from_annots(annots(**changes), ["B1"], PATH)


def test_a_missing_column_is_named() -> None:
    cams = annots()
    del cams["K"]
    with pytest.raises(CaptureError, match=r"annots\.npy: cams has no 'K'"):
        calibrations_from_annots(cams, ["B1"], PATH)


def test_undistorted_pictures_agree_with_the_house_camera() -> None:
    """A spot drawn where OpenCV's distorted camera sees a point is found where the house camera projects it."""
    point, distortion = np.array([0.75, -0.6, 2.0]), np.array([-0.22, 0.03, 1e-3, -5e-4, 0.0])
    intrinsics = np.array([[150.0, 0.0, 81.0], [0.0, 152.0, 66.0], [0.0, 0.0, 1.0]])
    seen = cv2.projectPoints(point[None], np.zeros(3), np.zeros(3), intrinsics, distortion)[0].ravel()
    rows, columns = np.mgrid[:130, :160]
    spot = 255 * np.exp(-((columns - seen[0]) ** 2 + (rows - seen[1]) ** 2) / 18)
    lens = Lens(intrinsics_px=intrinsics, distortion=distortion)
    straight = lens.undistort(spot.round().astype(np.uint8)).astype(float)
    found = np.array([(straight * (grid + 0.5)).sum() / straight.sum() for grid in (columns, rows)])
    house = intrinsics + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    expected = (house @ (point / point[2]))[:2]
    assert np.abs(seen + 0.5 - expected).max() > 1.0
    np.testing.assert_allclose(found, expected, atol=0.1)
