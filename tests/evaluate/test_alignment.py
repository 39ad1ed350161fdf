"""Shifts and scales of a picture are found whatever its exposure and however soft its rendering."""

import cv2
import numpy as np
import pytest

from avatar.evaluate.alignment import align

SIZE = 160


@pytest.fixture
def texture() -> np.ndarray:
    noise = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return (smooth - smooth.min()) / np.ptp(smooth)


@pytest.fixture
def inside() -> np.ndarray:
    inside = np.zeros((SIZE, SIZE), bool)
    inside[20:140, 30:130] = True
    return inside


def moved(texture: np.ndarray, right: float, down: float, scale: float = 1.0) -> np.ndarray:
    """The picture, about the middle of the pixels compared."""
    x, y = 79.5, 79.5
    matrix = np.array([[scale, 0, x + right - scale * x], [0, scale, y + down - scale * y]], np.float32)
    return cv2.warpAffine(texture, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("right", "down", "scale"), [(2.0, -1.5, 1.0), (0.3, 0.1, 1.01), (-4.0, 3.0, 0.99)])
def test_a_known_motion_is_found(
    texture: np.ndarray, inside: np.ndarray, right: float, down: float, scale: float
) -> None:
    found = align(texture, moved(texture, right, down, scale), inside)
    assert found is not None
    assert found.shift_px == pytest.approx((right, down), abs=0.03)
    assert found.scale == pytest.approx(scale, abs=1e-3)


def test_exposure_and_softness_change_nothing(texture: np.ndarray, inside: np.ndarray) -> None:
    soft = cv2.GaussianBlur(texture, (0, 0), 2.0)
    found = align(soft, 1.2 * moved(texture, 2.0, 0.0) + 0.05, inside)
    assert found is not None
    assert found.shift_px == pytest.approx((2.0, 0.0), abs=0.05)


def test_a_patch_that_moves_by_itself_does_not_count(texture: np.ndarray, inside: np.ndarray) -> None:
    truth = moved(texture, 1.0, 0.0)
    truth[30:70, 40:80] = texture[60:100, 10:50]
    found = align(texture, truth, inside)
    assert found is not None
    assert found.shift_px == pytest.approx((1.0, 0.0), abs=0.1)


def test_nothing_to_hold_on_to(texture: np.ndarray, inside: np.ndarray) -> None:
    flat = np.full((SIZE, SIZE), 0.5, np.float32)
    assert align(flat, flat, inside) is None
    assert align(texture, texture, np.zeros_like(inside)) is None
