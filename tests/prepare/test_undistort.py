"""Pictures, masks and landmarks go through one map; the map is that of the equations."""

import cv2
import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.undistort import Undistorter

HEIGHT, WIDTH = 240, 320


def lens(distortion: list[float], is_fisheye: bool = False, size: tuple[int, int] | None = (HEIGHT, WIDTH)):
    return Calibration(
        name="c",
        intrinsics_px=np.array([[260.0, 0, 162.3], [0, 255.0, 118.6], [0, 0, 1]]),
        camera_from_world=np.eye(4),
        distortion=np.array(distortion),
        size=size,
        is_fisheye=is_fisheye,
    )


def distorted(points_px: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Where a pinhole's pixels lie in the lens's picture: Brown's and the fisheye's equations, pixel centres at .5."""
    focal, centre = calibration.intrinsics_px[[0, 1], [0, 1]], calibration.intrinsics_px[:2, 2]
    x, y = ((points_px - centre) / focal).T
    r2 = x * x + y * y
    if calibration.is_fisheye:
        angle = np.arctan(np.sqrt(r2))
        bend = sum(k * angle ** (2 * i + 2) for i, k in enumerate(calibration.distortion))
        scale = angle * (1 + bend) / np.sqrt(r2)
        return np.stack([scale * x, scale * y], axis=-1) * focal + centre
    k1, k2, p1, p2, k3 = calibration.distortion
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([bent_x, bent_y], axis=-1) * focal + centre


LENSES = [lens([-0.22, 0.03, 0.001, -0.002, 0.01]), lens([-0.05, 0.02, 0.0, 0.001], is_fisheye=True)]


@pytest.mark.parametrize("calibration", LENSES)
def test_landmarks_come_back(calibration: Calibration) -> None:
    truth = np.random.default_rng(0).uniform([10, 10], [WIDTH - 10, HEIGHT - 10], (50, 2))
    bent = distorted(truth, calibration)
    assert np.abs(bent - truth).max() > 2
    bent[3] = np.nan
    found = Undistorter(calibration).points(bent)
    assert np.isnan(found[3]).all()
    np.testing.assert_allclose(np.delete(found, 3, 0), np.delete(truth, 3, 0), atol=0.02)


@pytest.mark.parametrize("calibration", LENSES)
def test_picture_mask_and_landmarks_agree(calibration: Calibration) -> None:
    """A disk drawn where the lens sees it lies, undistorted, where its centre's landmark does."""
    undistorter = Undistorter(calibration)
    for centre in ([60.0, 50.0], [250.5, 190.5], [160.0, 30.0]):
        at = distorted(np.array([centre]), calibration)
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        shift = tuple(round(16 * (value - 0.5)) for value in at[0])
        cv2.circle(picture, shift, 16 * 9, (200, 200, 200), -1, shift=4)
        mask = undistorter.picture(np.where(picture[..., 0] > 0, np.uint8(255), np.uint8(0))) >= 128
        bright = undistorter.picture(picture)[..., 0] > 100
        assert (mask & bright).sum() > 0.97 * (mask | bright).sum()
        middle = np.argwhere(mask).mean(axis=0)[::-1] + 0.5
        np.testing.assert_allclose(middle, centre, atol=0.6)
        np.testing.assert_allclose(undistorter.points(at)[0], centre, atol=0.02)


def test_a_pinhole_is_left_alone() -> None:
    undistorter = Undistorter(lens([0.0] * 5))
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    assert undistorter.picture(picture) is picture
    assert not undistorter.is_needed
    points = np.array([[3.0, 4.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(undistorter.points(points), points)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a picture of 240 x 320 \(h x w\), got 10 x 10"):
        Undistorter(LENSES[0]).picture(np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="c: expected a calibration with the size of its pictures"):
        Undistorter(lens([0.0] * 5, size=None))
