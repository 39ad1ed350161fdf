"""Metrics against numbers worked by hand."""

import math

import flip_evaluator
import pytest
import torch

from avatar.evaluate import metrics

HEIGHT, WIDTH = 170, 180


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0)) * 0.8


@pytest.fixture
def is_foreground() -> torch.Tensor:
    """An L of 10 x 20 and 30 x 5 pixels in a box of 40 x 20."""
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[50:60, 30:50] = True
    mask[60:90, 30:35] = True
    return mask


def test_psnr_of_a_constant_offset(picture: torch.Tensor) -> None:
    assert metrics.psnr(picture + 0.1, picture) == pytest.approx(20, abs=1e-4)
    assert metrics.psnr(picture + 0.01, picture) == pytest.approx(40, abs=1e-3)


def test_psnr_is_the_same_in_box_and_mask_under_a_constant_offset(
    picture: torch.Tensor, is_foreground: torch.Tensor
) -> None:
    assert metrics.psnr_box(picture + 0.1, picture, is_foreground) == pytest.approx(20, abs=1e-4)
    assert metrics.psnr_mask(picture + 0.1, picture, is_foreground) == pytest.approx(20, abs=1e-4)


def test_psnr_regions_differ_by_their_areas(picture: torch.Tensor, is_foreground: torch.Tensor) -> None:
    """The same squared error over fewer pixels: 10 log10 of the ratio of areas lower."""
    prediction = picture + 0.1 * is_foreground[..., None]
    assert metrics.psnr_mask(prediction, picture, is_foreground) == pytest.approx(20, abs=1e-4)
    box, mask = 40 * 20, 10 * 20 + 30 * 5
    in_box, whole = 20 + 10 * math.log10(box / mask), 20 + 10 * math.log10(HEIGHT * WIDTH / mask)
    assert metrics.psnr_box(prediction, picture, is_foreground) == pytest.approx(in_box, abs=1e-4)
    assert metrics.psnr(prediction, picture) == pytest.approx(whole, abs=1e-4)


def test_equal_images_are_perfect(picture: torch.Tensor) -> None:
    assert metrics.psnr(picture, picture) == metrics.PSNR_MAX_DB
    assert metrics.ssim(picture, picture) == pytest.approx(1)
    assert metrics.ms_ssim(picture, picture) == pytest.approx(1)
    assert metrics.flip(picture, picture) == 0


def test_ssim_of_two_flat_images() -> None:
    """Without variance only the luminance term is left: (2 a b + c) / (a^2 + b^2 + c) with c = 0.01^2."""
    dark, bright = torch.full((20, 20, 3), 0.2), torch.full((20, 20, 3), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(bright, dark) == pytest.approx(expected, abs=1e-5)


def test_every_metric_gets_worse_with_noise(picture: torch.Tensor) -> None:
    noise = torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1))
    little, much = (metrics.quantised(picture + sigma * noise) for sigma in (0.02, 0.1))
    for better_if_higher in (metrics.psnr, metrics.ssim, metrics.ms_ssim):
        good, bad = better_if_higher(little, picture), better_if_higher(much, picture)
        assert good is not None
        assert bad is not None
        assert good > bad
    assert metrics.flip(little, picture) < metrics.flip(much, picture)


def test_flip_of_black_and_white_is_near_its_largest() -> None:
    black = torch.zeros(32, 32, 3)
    assert metrics.flip(black + 1, black) > 0.9


def test_flip_around_what_differs_is_flip_of_the_whole(picture: torch.Tensor, is_foreground: torch.Tensor) -> None:
    prediction = picture + 0.3 * is_foreground[..., None]
    _, whole, _ = flip_evaluator.evaluate(picture.numpy(), prediction.numpy(), "LDR", applyMagma=False)
    assert metrics.flip(prediction, picture) == pytest.approx(whole, rel=1e-5)


def test_what_an_image_cannot_have_is_none(picture: torch.Tensor) -> None:
    nobody = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    assert metrics.psnr_box(picture, picture, nobody) is None
    assert metrics.psnr_mask(picture, picture, nobody) is None
    assert metrics.ms_ssim(picture[:160], picture[:160]) is None
    assert metrics.ms_ssim(picture[:161], picture[:161]) is not None
    assert metrics.ssim(picture[:10], picture[:10]) is None


def test_quantised_is_what_a_file_keeps() -> None:
    image = torch.tensor([-0.5, 0.001, 0.5, 1.7]).reshape(2, 2, 1).expand(-1, -1, 3)
    assert (metrics.quantised(image)[..., 0] * 255).flatten().tolist() == [0, 0, 128, 255]


def test_foreground_box(is_foreground: torch.Tensor) -> None:
    box = metrics.foreground_box(is_foreground)
    assert box is not None
    assert (box.top, box.left, box.bottom, box.right) == (50, 30, 90, 50)
