"""Losses of rays, by hand."""

import math

import pytest
import torch
from torch import Tensor

from avatar.losses import RayLossConfig, compare_rays
from avatar.structs import FieldShape, RayColors, RaySamples

BLACK = torch.zeros(3)


def shape(distances: Tensor, gradients: Tensor) -> FieldShape:
    count = len(distances)
    nowhere = torch.zeros(count, 3)
    return FieldShape(
        samples=RaySamples(points=nowhere, directions=nowhere, lengths=torch.ones(count)),
        alphas=torch.zeros(count),
        distances=distances,
        gradients=gradients,
        canonical_normals=nowhere,
        features=torch.zeros(count, 0),
    )


def seen(color: Tensor, alpha: Tensor, distances: Tensor, gradients: Tensor) -> RayColors:
    return RayColors(color=color, alpha=alpha, depth=alpha, shape=shape(distances, gradients))


def test_terms_by_hand() -> None:
    rays = seen(
        torch.tensor([[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        torch.tensor([0.5, 0.0, 1.0]),
        torch.tensor([0.0, -2.0]),
        torch.tensor([[3.0, 0, 0], [0, 1.0, 0]]),
    )
    colors = torch.tensor([[0.55, 0.5, 0.5], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    is_foreground = torch.tensor([True, True, False])
    found = compare_rays(rays, colors, is_foreground, BLACK, RayLossConfig())
    # The second ray meets nothing, so its colour does not count; the third is background, which is black.
    assert float(found.color) == pytest.approx(0.5 * 0.05**2 / 3 / 2)
    certain = -math.log(1e-3)
    assert float(found.mask) == pytest.approx((math.log(2) + certain + certain) / 3, rel=1e-4)
    assert float(found.eikonal) == pytest.approx((4 + 0) / 2)
    assert float(found.sparsity) == pytest.approx((1 + math.exp(-2)) / 2)
    total = 10 * found.color + 0.1 * found.mask + 0.1 * found.eikonal + 0.01 * found.sparsity
    torch.testing.assert_close(found.total, total)


def test_large_colour_differences_count_by_their_size() -> None:
    nothing = torch.zeros(0)
    rays = seen(torch.zeros(1, 3), torch.ones(1), nothing, torch.zeros(0, 3))
    found = compare_rays(rays, torch.full((1, 3), 0.6), torch.tensor([True]), BLACK, RayLossConfig(huber_delta=0.1))
    assert float(found.color) == pytest.approx(0.1 * (0.6 - 0.05))


def test_person_and_picture_stand_before_the_same_background() -> None:
    nothing, background = torch.zeros(0), torch.tensor([0.2, 0.4, 0.6])
    half = seen(torch.tensor([[0.1, 0.1, 0.1]]), torch.tensor([0.5]), nothing, torch.zeros(0, 3))
    wanted = torch.tensor([[0.2, 0.3, 0.4]])
    found = compare_rays(half, wanted, torch.tensor([True]), background, RayLossConfig())
    assert float(found.color) == pytest.approx(0.0, abs=1e-12)
    behind = seen(torch.zeros(1, 3), torch.zeros(1) + 1e-9, nothing, torch.zeros(0, 3))
    found = compare_rays(behind, wanted, torch.tensor([False]), background, RayLossConfig())
    assert float(found.color) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("count", [0, 3])
def test_rays_that_meet_nothing_cost_nothing_but_coverage(count: int) -> None:
    alpha = torch.zeros(count, requires_grad=True)
    rays = seen(torch.zeros(count, 3), alpha, torch.zeros(0), torch.zeros(0, 3))
    found = compare_rays(rays, torch.zeros(count, 3), torch.zeros(count, dtype=torch.bool), BLACK, RayLossConfig())
    found.total.backward()
    assert all(float(term.detach()) == 0 for term in (found.color, found.eikonal, found.sparsity))
    assert float(found.total.detach()) < 1e-3
    assert bool(alpha.grad is not None and alpha.grad.isfinite().all())


@pytest.mark.parametrize("name", ["color", "mask", "eikonal", "sparsity"])
def test_weights_are_not_negative(name: str) -> None:
    with pytest.raises(ValueError, match=rf"RayLossConfig\.{name}: expected zero or more, got -1"):
        RayLossConfig(**{name: -1.0})
