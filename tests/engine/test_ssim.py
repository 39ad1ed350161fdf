"""Structural similarity against its specification, an independent implementation, and numbers worked out by hand."""

import pytest
import pytorch_msssim
import torch
from torch import Tensor

from avatar.engine import set_threads, ssim, ssim_reference


def pair(*size: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A smooth random image and a noisy version of it."""
    generator = torch.Generator().manual_seed(0)
    waves = torch.rand(*size, generator=generator, dtype=torch.float64).cumsum(1).sin() * 0.4 + 0.5
    return waves.to(dtype), (waves + 0.05 * torch.randn(*size, generator=generator, dtype=torch.float64)).to(dtype)


def value_and_gradient(function, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    image = image.clone().requires_grad_()
    value = function(image, target)
    (gradient,) = torch.autograd.grad(3 * value, image)
    return value.detach(), gradient


@pytest.mark.parametrize(
    "size", [(40, 37, 3), (11, 11, 1), (3, 50, 2), (1, 1, 1), (17, 5, 4), (150, 33, 3), (64, 16, 1)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_the_reference(size: tuple[int, ...], dtype: torch.dtype, tolerance: float):
    truth = value_and_gradient(ssim_reference, *pair(*size))
    for found, expected in zip(value_and_gradient(ssim, *pair(*size, dtype=dtype)), truth, strict=True):
        assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_equals_an_independent_implementation_inside():
    """pytorch-msssim leaves out windows that overlap the rim: a change far inside changes the sum of both as much."""
    image, target = pair(60, 60, 1)
    changed = image.clone()
    changed[28:31, 28:31] += 0.1
    ours = [ssim(x, target) * 60**2 for x in (image, changed)]
    first, second, truth = (x.permute(2, 0, 1)[None] for x in (image, changed, target))
    theirs = [pytorch_msssim.ssim(x, truth, data_range=1.0) * (60 - 10) ** 2 for x in (first, second)]
    torch.testing.assert_close(ours[1] - ours[0], theirs[1] - theirs[0], rtol=1e-5, atol=0)


def test_equal_images_are_fully_similar():
    image, _ = pair(30, 31, 3)
    value, gradient = value_and_gradient(ssim, image, image)
    torch.testing.assert_close(value, torch.ones_like(value))
    assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("function", [ssim, ssim_reference])
def test_flat_images_by_hand(function):
    """Of 0.25 and 0.5, far from the rim, only the luminance term differs from one: (2 · 1/8 + C1) / (5/16 + C1).

    One pixel in the middle of 11 x 11 has its whole window inside, the others see zeros outside; a window that holds a
    share s of the image has means s/4 and s/2, and variances and covariance of s (1 - s) over 16, 4 and 8.
    """
    image, target = torch.full((11, 11, 1), 0.25), torch.full((11, 11, 1), 0.5)
    offsets = torch.arange(-5, 6)
    window = torch.exp(-(offsets**2) / 4.5)
    window = window / window.sum()
    shares = torch.stack([window[max(0, 5 - i) : 16 - i].sum() for i in range(11)])
    share = torch.outer(shares, shares)
    luminance = (share**2 / 4 + 1e-4) / (share**2 * 5 / 16 + 1e-4)
    structure = (share * (1 - share) / 4 + 9e-4) / (share * (1 - share) * 5 / 16 + 9e-4)
    torch.testing.assert_close(function(image, target), (luminance * structure).mean(), rtol=1e-5, atol=0)


def test_number_of_threads_changes_nothing():
    image, target = pair(150, 170, 3, dtype=torch.float32)
    try:
        results = []
        for threads in (1, 2, 3, 2, 1, 5, 2, 2):
            set_threads(threads)
            results.append(value_and_gradient(ssim, image, target))
    finally:
        set_threads(None)
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_without_gradient():
    image, target = pair(20, 20, 3)
    with torch.no_grad():
        assert not ssim(image.requires_grad_(), target).requires_grad
    assert torch.equal(ssim(image.detach(), target), ssim(image, target).detach())


def test_different_types_are_refused():
    with pytest.raises(ValueError, match="expected equal shapes and dtypes"):
        ssim(torch.rand(20, 20, 3), torch.rand(20, 20, 3).double())


def test_only_windows_that_hold_it_see_a_number_that_is_none():
    image, target = pair(40, 40, 3)
    image[30, 20, 1] = torch.nan
    value, gradient = value_and_gradient(ssim, image, target)
    assert bool(value.isnan())
    assert bool(gradient[30, 20, 1].isnan())
    assert bool(gradient[:20].isfinite().all())
    assert bool(gradient[..., [0, 2]].isfinite().all())
