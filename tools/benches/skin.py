"""Skinning beside its plain-torch specification: 55 joints, four a point."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import Influences, skin_points, skin_points_reference

from .case import Case, Curve

JOINTS, INFLUENCES = 55, 4
LIMITS_MS = {"LBS": (3, 4.5), "DQS": (5, 8)}
FRACTIONS = {"LBS": 0.0, "DQS": 1.0}
REFERENCE_ROUNDS = 3


def cases() -> list[Case]:
    """200k points, with gradients of points and joints."""
    found = []
    for mode, (goal, floor) in LIMITS_MS.items():
        scene = f"{mode} 200k x {JOINTS}"
        for by, function, rounds in (("engine", skin_points, None), ("torch", skin_points_reference, REFERENCE_ROUNDS)):
            run = _task(function, 200_000, FRACTIONS[mode])
            limits = (goal, floor) if by == "engine" else (None, None)
            found.append(
                Case(scene=scene, passes="both", run=run, by=by, goal_ms=limits[0], floor_ms=limits[1], rounds=rounds)
            )
    return found


def curves() -> list[Curve]:
    """Over points."""
    counts = (25_000, 50_000, 100_000, 200_000, 400_000)
    points = [(n, Case(scene=f"{n // 1000}k", passes="both", run=_task(skin_points, n, 0.0))) for n in counts]
    return [Curve(name="skin LBS", along="points", points=points)]


def _task(function: Callable[..., Tensor], count: int, fraction: float) -> Callable[[], object]:
    """Neighbours share joints, as on a body."""
    generator = torch.Generator().manual_seed(0)
    strongest = torch.arange(count) * JOINTS // count
    ids = (strongest[:, None] + torch.arange(INFLUENCES)).remainder(JOINTS).int()
    influences = Influences(ids, torch.rand(count, INFLUENCES, generator=generator).softmax(1))
    quats = torch.nn.functional.normalize(torch.randn(JOINTS, 4, generator=generator).abs(), dim=1)
    joints = torch.cat([torch.randn(JOINTS, 12, generator=generator), quats], 1).requires_grad_()
    points = torch.randn(count, 3, generator=generator).requires_grad_()
    weights = torch.randn(count, 3, generator=generator)

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            function(points, influences, joints, dqs_fraction=fraction), (points, joints), weights
        )

    return forward_and_backward
