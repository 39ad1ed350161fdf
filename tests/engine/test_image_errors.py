"""Fused image errors against their specification and numbers worked out by hand."""

from collections.abc import Callable
from inspect import unwrap

import pytest
import torch
from torch import Tensor

from avatar.engine import ImageErrors, image_errors, image_errors_reference, set_threads, ssim

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def images(height: int, width: int, channels: int = 3, *, dtype: torch.dtype = torch.float64) -> Inputs:
    """Colour, coverage, picture and mask, at random; some pixels are equal."""
    generator = torch.Generator().manual_seed(0)
    color, target = torch.rand(2, height, width, channels, generator=generator, dtype=torch.float64)
    target[: height // 3] = color[: height // 3]
    alpha = torch.rand(height, width, generator=generator, dtype=torch.float64).mul(1.2).clamp(max=1)
    is_foreground = torch.rand(height, width, generator=generator) < 0.5
    return color.to(dtype), alpha.to(dtype), target.to(dtype), is_foreground


def outcome(function: Callable[..., ImageErrors], inputs: Inputs, **options: float | bool) -> list[Tensor]:
    """The three errors and the gradients of a sum of them with unequal weights."""
    color, alpha = (t.clone().requires_grad_() for t in inputs[:2])
    errors = function(color, alpha, *inputs[2:], **options)
    total = 2 * errors.color + 3 * errors.dssim - 5 * errors.mask
    return [*(t.detach() for t in errors), *torch.autograd.grad(total, (color, alpha))]


@pytest.mark.parametrize("size", [(40, 37), (1, 1), (130, 101), (3, 5, 1), (17, 16, 4)])
@pytest.mark.parametrize("options", [{}, {"huber_delta": 0.2}, {"has_dssim": False}])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_the_reference(size: tuple[int, ...], options: dict, dtype: torch.dtype, tolerance: float):
    truth = outcome(image_errors_reference, images(*size), **options)
    for found, expected in zip(outcome(image_errors, images(*size, dtype=dtype), **options), truth, strict=True):
        assert found.dtype == dtype
        assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("function", [image_errors, image_errors_reference])
def test_by_hand(function: Callable[..., ImageErrors]):
    color, target = torch.tensor([[[0.5, 0.25, 1.0]]]), torch.tensor([[[0.5, 0.5, 0.0]]])
    alpha, is_foreground = torch.tensor([[0.25]]), torch.tensor([[True]])
    plain = function(color, alpha, target, is_foreground, has_dssim=False)
    assert [float(t) for t in plain] == pytest.approx([1.25 / 3, 0, 0.75])
    huber = function(color, alpha, target, is_foreground, huber_delta=0.5, has_dssim=False)
    assert float(huber.color) == pytest.approx((0.25**2 + 0.75) / 3)


def test_dssim_is_one_minus_ssim():
    color, alpha, target, is_foreground = images(30, 31)
    errors = image_errors(color, alpha, target, is_foreground)
    torch.testing.assert_close(errors.dssim, 1 - ssim(color, target))


def test_equal_pixels_have_no_gradient():
    color, alpha, target, is_foreground = images(30, 31)
    _, _, _, gradient, _ = outcome(image_errors, (color, alpha, target, is_foreground), has_dssim=False)
    assert torch.equal(gradient != 0, color != target)


def test_number_of_threads_changes_nothing():
    inputs, results = images(200, 130, dtype=torch.float32), []
    try:
        for threads in (1, 2, 3, 2, 1):
            set_threads(threads)
            results.append(outcome(image_errors, inputs))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_each_error_has_its_own_gradient():
    color, alpha, target, is_foreground = images(12, 13)
    inputs = color.requires_grad_(), alpha.requires_grad_()
    for one, other in zip(
        image_errors(color, alpha, target, is_foreground),
        image_errors_reference(color, alpha, target, is_foreground),
        strict=True,
    ):
        gradients = [
            torch.autograd.grad(t, inputs, None, True, allow_unused=True, materialize_grads=True) for t in (one, other)
        ]
        torch.testing.assert_close(*gradients)


def test_without_gradient_and_with_strided_images():
    color, alpha, target, is_foreground = images(20, 40)
    half = [t[:, ::2] for t in (color, alpha, target, is_foreground)]
    found, expected = image_errors(*half), image_errors_reference(*half)
    assert not found.color.requires_grad
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("which", "wrong", "message"),
    [
        (1, torch.zeros(4, 6), r"alpha: expected shape \(4, 5\), got \(4, 6\)"),
        (2, torch.zeros(4, 5, 1).double(), r"target: expected shape \(4, 5, 3\), got \(4, 5, 1\)"),
        (2, torch.zeros(4, 5, 3), "target: expected torch.float64, got torch.float32"),
        (3, torch.zeros(5, 4).bool(), r"is_foreground: expected shape \(4, 5\), got \(5, 4\)"),
    ],
)
def test_wrong_inputs_are_named(which: int, wrong: Tensor, message: str):
    """Without the type checker of the tests, which would speak first."""
    inputs = list(images(4, 5))
    inputs[which] = wrong
    with pytest.raises(ValueError, match=message):
        unwrap(image_errors)(*inputs)
