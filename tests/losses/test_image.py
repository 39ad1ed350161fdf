"""Rendering against picture, by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avatar.engine import ssim_reference
from avatar.losses import LossConfig, Losses, compare
from avatar.structs import Camera, Frame, Pose, Rendering


def frame_of(image: Tensor, is_foreground: Tensor | None = None) -> Frame:
    height, width, _ = image.shape
    mask = torch.zeros(height, width, dtype=torch.bool) if is_foreground is None else is_foreground
    return Frame(
        camera=Camera(camera_from_world=torch.eye(4), intrinsics_px=torch.eye(3), height=height, width=width),
        image=image,
        is_foreground=mask,
        pose=Pose(local_quats=torch.tensor([[1.0, 0, 0, 0]]), root_position_world=torch.zeros(3)),
        frame_id=0,
        camera_id=0,
    )


def noise(seed: int, height: int = 14, width: int = 17) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


def compared(color: Tensor, image: Tensor, config: LossConfig | None = None) -> Losses:
    return compare(Rendering(color=color, alpha=torch.zeros(color.shape[:2])), frame_of(image), config or LossConfig())


def test_equal_pictures_cost_nothing() -> None:
    terms = compared(noise(0), noise(0))
    assert float(terms.l1) == 0
    assert float(terms.dssim) == pytest.approx(0, abs=1e-6)
    assert float(terms.total) == pytest.approx(0, abs=1e-6)


def test_l1_is_the_mean_over_pixels_and_channels() -> None:
    color, image = torch.zeros(2, 1, 3), torch.zeros(2, 1, 3)
    color[0, 0] = torch.tensor([0.5, 0.25, 0.0])
    image[1, 0, 2] = 0.75
    assert float(compared(color, image, LossConfig(huber_delta=0.0)).l1) == pytest.approx(1.5 / 6)


def test_dssim_by_hand_for_one_pixel() -> None:
    """Of the 11 x 11 window only the middle, of weight w, is not zero."""
    window = [math.exp(-(offset**2) / 4.5) for offset in range(-5, 6)]
    w, x, y, c1, c2 = (window[5] / sum(window)) ** 2, 0.6, 0.3, 0.01**2, 0.03**2
    variances, covariance = w * (1 - w) * (x * x + y * y), w * (1 - w) * x * y
    luminance = (2 * w * w * x * y + c1) / (w * w * (x * x + y * y) + c1)
    expected = 1 - luminance * (2 * covariance + c2) / (variances + c2)
    terms = compared(torch.full((1, 1, 3), x), torch.full((1, 1, 3), y))
    assert float(terms.dssim) == pytest.approx(expected, abs=1e-6)


def test_dssim_is_one_minus_ssim() -> None:
    expected = 1 - ssim_reference(noise(0), noise(1))
    torch.testing.assert_close(compared(noise(0), noise(1)).dssim, expected, atol=1e-5, rtol=0)


def test_mask_is_coverage_against_foreground() -> None:
    alpha = torch.tensor([[0.25, 1.0], [0.5, 0.0]])
    is_foreground = torch.tensor([[False, True], [True, True]])
    black = torch.zeros(2, 2, 3)
    terms = compare(Rendering(color=black, alpha=alpha), frame_of(black, is_foreground), LossConfig())
    assert float(terms.mask) == pytest.approx((0.25 + 0.0 + 0.5 + 1.0) / 4)


def test_total_is_the_weighted_sum() -> None:
    terms = compared(noise(0), noise(1), LossConfig(l1=2.0, dssim=3.0, mask=5.0))
    torch.testing.assert_close(terms.total, 2 * terms.l1 + 3 * terms.dssim + 5 * terms.mask)


def test_a_term_without_weight_is_not_computed() -> None:
    terms = compared(noise(0), noise(1), LossConfig(dssim=0.0))
    assert float(terms.dssim) == 0
    torch.testing.assert_close(terms.total, LossConfig().l1 * terms.l1)


def test_gradients_by_hand() -> None:
    color = noise(0).requires_grad_()
    alpha = torch.full((14, 17), 0.5, requires_grad=True)
    is_foreground = torch.arange(17).expand(14, 17) < 8
    config = LossConfig(l1=1.0, dssim=0.0, mask=1.0, huber_delta=0.0)
    terms = compare(Rendering(color=color, alpha=alpha), frame_of(noise(1), is_foreground), config)
    of_color, of_alpha = torch.autograd.grad(terms.total, (color, alpha))
    torch.testing.assert_close(of_color, (noise(0) - noise(1)).sign() / color.numel())
    torch.testing.assert_close(of_alpha, torch.where(is_foreground, -1.0, 1.0) / alpha.numel())


def test_small_differences_count_by_their_square() -> None:
    color, image = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    color[0, 0, 0], image[0, 1, 2] = 0.05, 0.5
    terms = compared(color, image, LossConfig(huber_delta=0.1))
    assert float(terms.l1) == pytest.approx((0.05**2 / 0.2 + 0.5 - 0.05) / 6)


def test_structure_pulls_towards_the_picture() -> None:
    color = (0.5 * noise(1) + 0.5 * noise(0)).requires_grad_()
    config = LossConfig(l1=0.0, dssim=1.0, mask=0.0)
    before = compared(color, noise(1), config).total
    (gradient,) = torch.autograd.grad(before, color)
    after = compared(color.detach() - 5.0 * gradient, noise(1), config).total
    assert float(after) < 0.9 * float(before.detach())


@pytest.mark.parametrize("shape", [(14, 16, 3), (17, 14, 3)])
def test_sizes_must_agree(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"compare: expected a picture of \(14, 17, 3\), got \(1"):
        compared(noise(0), torch.zeros(shape))


@pytest.mark.parametrize("field", ["l1", "dssim", "mask", "huber_delta"])
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_configs_are_checked(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"LossConfig\.{field}: expected zero or more, got {value}"):
        replace(LossConfig(), **{field: value})
