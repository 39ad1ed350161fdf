"""The two kinds of SSIM against numbers worked by hand and against loops over windows."""

import math

import numpy as np
import pytest
import torch

from avatar.evaluate.protocols import Ssim
from avatar.evaluate.protocols.similarity import ssim_as, ssim_gaussian, ssim_uniform


@pytest.mark.parametrize(("data_range", "small"), [(1.0, 1e-4), (2.0, 4e-4), (255.0, 6.5025)])
def test_flat_images_leave_the_luminance_term(data_range: float, small: float) -> None:
    """(2 a b + c) / (a^2 + b^2 + c), c = (0.01 range)^2: the legacy range of 2 gives the higher figure."""
    dark, bright = torch.full((9, 8, 3), 0.25), torch.full((9, 8, 3), 0.5)
    expected = (0.25 + small) / (0.3125 + small)
    assert ssim_uniform(bright, dark, data_range) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("data_range", "c1", "c2"), [(1.0, 1e-4, 9e-4), (2.0, 4e-4, 36e-4)])
def test_one_window_by_hand(data_range: float, c1: float, c2: float) -> None:
    """49 pixels, one of them 1 and the rest 0, against the image that is 0.5 there: variances with n - 1 = 48.

    Means 1/49 and 0.5/49; sample variances (1 - 1/49)/48 = 1/49 and 0.25/49; sample covariance 0.5/49.
    """
    truth = torch.zeros(7, 7, 3)
    truth[2, 4] = 1
    n = 49
    luminance = (2 * 0.5 / n**2 + c1) / (1 / n**2 + 0.25 / n**2 + c1)
    structure = (2 * 0.5 / n + c2) / (1 / n + 0.25 / n + c2)
    assert ssim_uniform(0.5 * truth, truth, data_range) == pytest.approx(luminance * structure, abs=1e-9)


def by_loops(x: np.ndarray, y: np.ndarray, data_range: float) -> float:
    """The definition, window by window and channel by channel."""
    c1, c2, values = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2, []
    for row in range(x.shape[0] - 6):
        for column in range(x.shape[1] - 6):
            for channel in range(3):
                a, b = (i[row : row + 7, column : column + 7, channel].ravel() for i in (x, y))
                (vx, xy), (_, vy) = np.cov(a, b)
                top = (2 * a.mean() * b.mean() + c1) * (2 * xy + c2)
                values.append(top / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def test_uniform_windows_against_loops() -> None:
    x, y = np.random.default_rng(0).random((2, 12, 10, 3))
    for data_range in (1.0, 2.0):
        got = ssim_uniform(torch.from_numpy(x).float(), torch.from_numpy(y).float(), data_range)
        assert got == pytest.approx(by_loops(x, y, data_range), abs=1e-6)


def test_gaussian_windows_against_loops() -> None:
    """Black beyond the image, covariances without n - 1."""
    x, y = np.random.default_rng(1).random((2, 6, 7, 3))
    weights = np.array([[math.exp(-(i * i + j * j) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)])
    weights /= weights.sum()
    wide = [np.pad(image, ((5, 5), (5, 5), (0, 0))) for image in (x, y)]
    values = []
    for row, column, channel in np.ndindex(6, 7, 3):
        a, b = (image[row : row + 11, column : column + 11, channel] for image in wide)
        ma, mb = (weights * a).sum(), (weights * b).sum()
        va, vb = (weights * a * a).sum() - ma**2, (weights * b * b).sum() - mb**2
        ab = (weights * a * b).sum() - ma * mb
        values.append((2 * ma * mb + 1e-4) * (2 * ab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    got = ssim_gaussian(torch.from_numpy(x).float(), torch.from_numpy(y).float(), 1.0)
    assert got == pytest.approx(np.mean(values), abs=1e-6)


def test_equal_images_are_one_and_small_ones_have_none() -> None:
    picture = torch.rand(20, 20, 3, generator=torch.Generator().manual_seed(0))
    for window in ("uniform_7", "gaussian_11"):
        assert ssim_as(Ssim(window=window, data_range=2.0), picture, picture) == pytest.approx(1, abs=1e-12)
    assert ssim_uniform(picture[:6], picture[:6], 2.0) is None
