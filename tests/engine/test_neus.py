"""Alphas of signed distances against their specification, and densities, by hand and by finite differences."""

import math

import pytest
import torch
from torch import Tensor

from avatar.engine import (
    laplace_densities,
    neus_alphas,
    neus_alphas_reference,
    set_threads,
    truncated_exp,
)

BOTH = pytest.mark.parametrize("function", [neus_alphas, neus_alphas_reference])


def samples(count: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Distances near the surface and far from it, cosines of rays that enter and leave, lengths, and a sharpness."""
    rows = torch.rand(4, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    distances = (rows[0] - 0.5) * 10 ** (2 * rows[1] - 2)
    return [t.to(dtype) for t in (distances, 2 * rows[2] - 1, 0.1 * rows[3], torch.tensor(30.0))]


def outcome(function, tensors: list[Tensor], cos_anneal: float) -> list[Tensor]:
    """Alphas, and gradients of distances, cosines and sharpness for a fixed random loss."""
    distances, cosines, lengths, sharpness = (t.detach().clone().requires_grad_() for t in tensors)
    alphas = function(distances, cosines, lengths, sharpness, cos_anneal)
    weights = torch.randn(len(alphas), generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(alphas)
    return [alphas.detach(), *torch.autograd.grad(alphas, (distances, cosines, sharpness), weights)]


@pytest.mark.parametrize("count", [0, 1, 16, 37, 20_000])
@pytest.mark.parametrize("cos_anneal", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_equals_the_reference(count: int, cos_anneal: float, dtype: torch.dtype, tolerance: float):
    """P - N cancels where both are near one: what is left is good to rounding of one, not of itself.

    The gradient of the sharpness sums 20,000 terms of both signs whose sizes add up to 100: float32 keeps 6e-6 of it.
    """
    tensors = samples(count, dtype)
    truth = outcome(neus_alphas_reference, [t.double() for t in tensors], cos_anneal)
    for found, expected in zip(outcome(neus_alphas, tensors, cos_anneal), truth, strict=True):
        assert found.dtype == dtype
        if expected.numel():
            assert (found - expected).abs().max() <= tolerance * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("wrong", [None, 0, 1, 3])
def test_gradcheck_and_the_planted_error_it_must_find(wrong: int | None):
    tensors = samples(20)
    leaves = tuple(t.requires_grad_() for i, t in enumerate(tensors) if i != 2)

    def alphas(distances: Tensor, cosines: Tensor, sharpness: Tensor) -> Tensor:
        inputs = [distances, cosines, tensors[2], sharpness]
        if wrong is not None:
            inputs[wrong] = 2 * inputs[wrong] - inputs[wrong].detach()  # its value, and twice its gradient
        return neus_alphas(*inputs, cos_anneal=0.4)

    assert torch.autograd.gradcheck(alphas, leaves, nondet_tol=0.0, raise_exception=wrong is None) is (wrong is None)


@BOTH
def test_by_hand(function):
    """Sharpness ln 3, cosine -1, length 2: at distance 0 the ends are at 1 and -1, sigmoids 3/4 and 1/4, alpha 2/3."""
    one = torch.ones(1, dtype=torch.float64)
    alphas = function(0 * one, -one, 2 * one, torch.tensor(math.log(3)).double())
    torch.testing.assert_close(alphas, one * 2 / 3, rtol=2e-5, atol=0)
    # Where the ray leaves there is nothing to take, but for epsilon; half annealed the slope is -relu(1/2 - 1/2) / 2.
    left = function(0 * one, one, 2 * one, torch.tensor(5.0).double(), 0.5)
    torch.testing.assert_close(left, one * 1e-5 / (0.5 + 1e-5))
    # Beside the surface, cosine 0: slopes -1/2, -1/4 and 0 as the anneal goes.
    for anneal, slope in ((0.0, -0.5), (0.5, -0.25), (1.0, 0.0)):
        p, n = (1 / (1 + math.exp(-3 * (0.1 + s * slope * 0.2))) for s in (-0.5, 0.5))
        found = function(0.1 * one, 0 * one, 0.2 * one, torch.tensor(3.0).double(), anneal)
        torch.testing.assert_close(found, one * (p - n + 1e-5) / (p + 1e-5))


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes(function, dtype: torch.dtype):
    """Far outside nothing, far inside everything, and a jump through the surface everything; gradients are numbers."""
    distances = torch.tensor([1e4, -1e4, 0.0, 1e30, -1e30], dtype=dtype)
    cosines, lengths = torch.tensor([-1.0, -1, -1, 0, 1], dtype=dtype), torch.ones(5, dtype=dtype)
    alphas, *gradients = outcome(function, [distances, cosines, lengths, torch.tensor(1e3, dtype=dtype)], 1.0)
    assert alphas.tolist() == pytest.approx([1e-5, 1, 1, 1e-5, 1], rel=1e-2)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_what_is_no_number_stays_alone():
    distances, cosines, lengths, sharpness = samples(50, torch.float32)
    clean = neus_alphas(distances, cosines, lengths, sharpness)
    distances[7] = math.nan
    found = neus_alphas(distances, cosines, lengths, sharpness)
    assert found.isnan().nonzero().flatten().tolist() == [7]
    assert torch.equal(found[8:], clean[8:])


def test_number_of_threads_changes_nothing():
    tensors = samples(50_000, torch.float32)
    try:
        results = []
        for threads in (1, 2, 3, 2):
            set_threads(threads)
            results.append(outcome(neus_alphas, tensors, 0.7))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


@pytest.mark.usefixtures("needs_engine")
def test_operators_are_registered():
    tensors = [t.requires_grad_(i != 2) for i, t in enumerate(samples(20, torch.float32))]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.avatar.neus.default, (*tensors, 0.5), test_utils=checks)
    arguments = (torch.ones(20), *(t.detach() for t in tensors), 0.5)
    torch.library.opcheck(torch.ops.avatar.neus_backward.default, arguments, test_utils=checks)


@BOTH
def test_wrong_inputs_are_named(function):
    distances, cosines, lengths, sharpness = samples(4)
    with pytest.raises(ValueError, match=r"lengths: expected torch.float64 \(4,\), got torch.float32 \(4,\)"):
        function(distances, cosines, lengths.float(), sharpness)
    with pytest.raises(ValueError, match=r"cos_anneal: expected 0 to 1, got 1.5"):
        function(distances, cosines, lengths, sharpness, 1.5)
    with pytest.raises(ValueError, match=r"distances: expected float32 or float64, got torch.float16"):
        function(*(t.half() for t in (distances, cosines, lengths, sharpness)))


def test_truncated_exp():
    exponents = torch.tensor([-100.0, 0, 2, 15, 16, 80], dtype=torch.float64, requires_grad=True)
    densities = truncated_exp(exponents)
    assert torch.equal(densities, exponents.exp())
    (gradient,) = torch.autograd.grad(densities.sum(), exponents, create_graph=True)
    torch.testing.assert_close(gradient, exponents.clamp(max=15).exp())
    (second,) = torch.autograd.grad(gradient.sum(), exponents)
    torch.testing.assert_close(second, exponents.exp() * (exponents <= 15))


def test_laplace_densities():
    """Width 1/4: 4 far inside, 2 on the surface, 2/e a width outside, 4 - 2/e a width inside."""
    distances = torch.tensor([-100.0, 0, 0.25, -0.25, 100], dtype=torch.float64, requires_grad=True)
    width = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    expected = torch.tensor([4, 2, 2 / math.e, 4 - 2 / math.e, 0], dtype=torch.float64)
    torch.testing.assert_close(laplace_densities(distances, width), expected)
    torch.testing.assert_close(laplace_densities(distances, 0.25), expected)
    (gradient,) = torch.autograd.grad(laplace_densities(distances, width).sum(), distances)
    assert float(gradient[1]) == pytest.approx(-0.5 / 0.25**2)
    assert torch.autograd.gradcheck(laplace_densities, (distances[2:4].detach().requires_grad_(), width))
