"""The rasterizer beside its plain-torch specification, in one interleaved run."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, rasterize, rasterize_reference

from .case import Case, Curve
from .scenes import front_view, shell, with_harmonics

SCENES = ((10_000, 256), (50_000, 512), (200_000, 1024))
LIMITS_MS = {(50_000, 512): ((5, 8), (11, 17))}
"""Goal and floor, forward and both."""
REFERENCE_MAX, REFERENCE_ROUNDS = 50_000, 2  # of Gaussians it is timed on: it takes half a second for so many

Rasterizer = Callable[[Splats, Views, RasterizeOptions], Renders]


def cases() -> list[Case]:
    """Three scenes, three colours and depth, without and with all gradients; then deformed Gaussians, and harmonics."""
    return [*(case for scene in SCENES for case in _cases(*scene)), *_deformed_cases(), _harmonic_case()]


def curves() -> list[Curve]:
    """Over Gaussians at 512², and over pixels with 50k."""
    counts, sizes = (12_500, 25_000, 50_000, 100_000), (128, 256, 512, 1024)
    return [
        Curve(name="rasterize 512²", along="Gaussians", points=[(n, _engine_case(n, 512)) for n in counts]),
        Curve(name="rasterize 50k", along="pixels", points=[(px * px, _engine_case(50_000, px)) for px in sizes]),
    ]


def _deformed_cases() -> list[Case]:
    """With a linear map for every Gaussian, and its gradient."""
    splats = shell(50_000)
    generator = torch.Generator().manual_seed(1)
    linear = torch.eye(3) + 0.1 * torch.randn(50_000, 3, 3, generator=generator)
    runs = _tasks(rasterize, splats._replace(linear=linear), front_view(512))
    return [
        Case(scene="50k 512², deformed", passes=passes, run=run)
        for passes, run in zip(("forward", "both"), runs, strict=True)
    ]


def _harmonic_case() -> Case:
    _, both = _tasks(rasterize, with_harmonics(shell(200_000)), front_view(1024))
    return Case(scene="200k 1024², degree 3", passes="both", run=both, goal_ms=45, floor_ms=65)


def _engine_case(count: int, size_px: int) -> Case:
    _, both = _tasks(rasterize, shell(count), front_view(size_px))
    return Case(scene=f"{count / 1000:g}k {size_px}²", passes="both", run=both)


def _cases(count: int, size_px: int) -> list[Case]:
    scene, limits = f"{count // 1000}k {size_px}²", LIMITS_MS.get((count, size_px), ((None, None), (None, None)))
    splats, views = shell(count), front_view(size_px)
    forward, both = _tasks(rasterize, splats, views)
    found = [
        Case(scene=scene, passes=passes, run=run, goal_ms=goal, floor_ms=floor)
        for passes, run, (goal, floor) in zip(("forward", "both"), (forward, both), limits, strict=True)
    ]
    if count <= REFERENCE_MAX:
        forward, both = _tasks(rasterize_reference, splats, views)
        for passes, run in (("forward", forward), ("both", both)):
            found.append(Case(scene=scene, passes=passes, run=run, by="torch", rounds=REFERENCE_ROUNDS))
    return found


def _tasks(rasterizer: Rasterizer, splats: Splats, views: Views) -> tuple[Callable[[], Renders], Callable[[], object]]:
    options = RasterizeOptions(depth="sum")
    leaves = [t.requires_grad_() for t in splats if isinstance(t, Tensor)]
    generator = torch.Generator().manual_seed(0)
    size = (1, views.height, views.width)
    weights = [torch.randn(*size, 4, generator=generator), torch.randn(*size, generator=generator)]

    @torch.no_grad()
    def forward() -> Renders:
        return rasterizer(splats, views, options)

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(rasterizer(splats, views, options)[:2], leaves, weights)

    return forward, forward_and_backward
