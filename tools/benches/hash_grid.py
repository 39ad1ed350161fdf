"""The hash grid beside its plain-torch specification: random points, and points along rays."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import HashGrid, hash_encode, hash_encode_reference

from .case import Case, Curve

COUNT, PER_RAY = 100_000, 50
PASSES = ("forward", "both", "with position gradient", "second order")
LIMITS_MS = {"both": (35, 49), "with position gradient": (70, 119)}
"""Goal and floor."""
PEER_ROUNDS = 1  # the specification takes seconds


def cases() -> list[Case]:
    """Sixteen levels of 2^19 rows with two features."""
    return [
        *_cases("random", random_points(COUNT), hash_encode),
        *_cases("random", random_points(COUNT), hash_encode_reference, by="torch", passes=("forward", "both")),
        *_cases("along rays", points_on_rays(COUNT), hash_encode),
    ]


def curves() -> list[Curve]:
    """Over points."""
    counts = (25_000, 50_000, 100_000, 200_000)
    points = [(n, _cases("random", random_points(n), hash_encode, passes=("both",))[0]) for n in counts]
    return [Curve(name="hash grid, both", along="points", points=points)]


def random_points(count: int) -> Tensor:
    """Uniform in the unit cube: the worst that caches can meet."""
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0))


def points_on_rays(count: int) -> Tensor:
    """Half a unit of random rays, 50 points on each."""
    generator = torch.Generator().manual_seed(0)
    origins, directions = torch.rand(2, count // PER_RAY, 1, 3, generator=generator)
    distances = torch.linspace(0, 0.5, PER_RAY)[:, None]
    points = 0.5 * origins + torch.nn.functional.normalize(directions, dim=-1) * distances
    return points.flatten(0, 1).clamp(0, 1)


def _cases(
    scene: str,
    points: Tensor,
    function: Callable[[Tensor, Tensor, HashGrid], Tensor],
    by: str = "engine",
    passes: tuple[str, ...] = PASSES,
) -> list[Case]:
    grid = HashGrid()
    generator = torch.Generator().manual_seed(1)
    table = (torch.rand(grid.num_rows, 2, generator=generator) - 0.5).requires_grad_()
    weights = torch.randn(len(points), grid.num_features, generator=generator)
    moved = points.clone().requires_grad_()

    @torch.no_grad()
    def forward() -> Tensor:
        return function(points, table, grid)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(points, table, grid), (table,), weights)

    def with_points() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(moved, table, grid), (table, moved), weights)

    def second_order() -> tuple[Tensor, ...]:
        (slopes,) = torch.autograd.grad(function(moved, table, grid), moved, weights, create_graph=True)
        return torch.autograd.grad(slopes.square().sum(), (table, moved))

    runs: dict[str, Callable[[], object]] = dict(zip(PASSES, (forward, both, with_points, second_order), strict=True))
    found = []
    for name in passes:
        goal, floor = LIMITS_MS.get(name, (None, None)) if by == "engine" and len(points) == COUNT else (None, None)
        rounds = None if by == "engine" else PEER_ROUNDS
        title = f"{scene}, {len(points) // 1000}k points"
        found.append(Case(scene=title, passes=name, run=runs[name], by=by, goal_ms=goal, floor_ms=floor, rounds=rounds))
    return found
