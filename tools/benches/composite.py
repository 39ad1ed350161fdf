"""Packed samples to sums along rays, and signed distances to alphas, beside the plain-torch specifications."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import (
    Packed,
    composite,
    composite_reference,
    neus_alphas,
    neus_alphas_reference,
)

from .case import Case
from .march import packed_samples

CHANNELS, REFERENCE_ROUNDS = 4, 3
LIMITS_MS = (15, 30)


def cases() -> list[Case]:
    """Densities and four channels of about 800k samples, then alphas of as many distances; all gradients."""
    packed, distances = packed_samples()
    goal, floor = LIMITS_MS
    found = []
    for function, by, rounds in ((composite, "engine", None), (composite_reference, "torch", REFERENCE_ROUNDS)):
        forward, both = _composite_tasks(function, packed)
        limits = (goal, floor) if by == "engine" else (None, None)
        found.append(Case(scene="800k samples", passes="forward", run=forward, by=by, rounds=rounds))
        case = Case(
            scene="800k samples", passes="both", run=both, by=by, rounds=rounds, goal_ms=limits[0], floor_ms=limits[1]
        )
        found.append(case)
    for function, by in ((neus_alphas, "engine"), (neus_alphas_reference, "torch")):
        run = _neus_task(function, packed, distances)
        found.append(Case(scene="800k distances to alphas", passes="both", run=run, by=by))
    return found


def _composite_tasks(function: Callable, packed: Packed) -> tuple[Callable[[], object], Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    count, rays = len(packed.ray_ids), packed.num_rays
    densities = (40 * torch.rand(count, generator=generator)).requires_grad_()
    values = torch.rand(count, CHANNELS, generator=generator).requires_grad_()
    weights = [torch.randn(rays, CHANNELS, generator=generator), *torch.randn(2, rays, generator=generator)]

    @torch.no_grad()
    def forward() -> object:
        return function(densities, values, packed)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(densities, values, packed)[:3], [densities, values], weights)

    return forward, both


def _neus_task(function: Callable, packed: Packed, distances: Tensor) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    cosines = -torch.rand(len(distances), generator=generator)
    leaves = [t.requires_grad_() for t in (distances, cosines, torch.tensor(60.0))]
    lengths, weights = packed.t_ends - packed.t_starts, torch.randn(len(distances), generator=generator)
    return lambda: torch.autograd.grad(function(leaves[0], leaves[1], lengths, leaves[2], 0.3), leaves, weights)
