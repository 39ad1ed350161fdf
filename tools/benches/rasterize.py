"""The rasterizer beside its plain-torch specification, in one interleaved run."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, rasterize, rasterize_reference

from .clock import Part, interleaved
from .scenes import front_view, shell

PROTOTYPE_MS = {(10_000, 256): (2.2, 3.9), (50_000, 512): (8.6, 18.2), (200_000, 1024): (34.0, 60.0)}
"""Medians of the prototype, forward and forward + backward, on two quiet cores with AVX-512 (AMD EPYC, Zen 5)."""
REFERENCE_MAX, REFERENCE_ROUNDS = 50_000, 2  # of Gaussians it is timed on: it takes half a second for so many

Rasterizer = Callable[[Splats, Views, RasterizeOptions], Renders]


def bench_rasterize(rounds: int) -> list[dict[str, object]]:
    """Three scenes, three colours and depth, without gradients and with those of all five inputs."""
    return [row for scene, figures in PROTOTYPE_MS.items() for row in _rows(*scene, figures, rounds)]


def _rows(count: int, size_px: int, prototype_ms: tuple[float, float], rounds: int) -> list[dict[str, object]]:
    cases = []
    for name, rasterizer, turns in (("engine", rasterize, rounds), ("torch", rasterize_reference, REFERENCE_ROUNDS)):
        if name == "engine" or count <= REFERENCE_MAX:
            for task in _tasks(rasterizer, shell(count), front_view(size_px)):
                cases.append((Part(name=name), task, min(turns, rounds)))
    interleaved(cases)
    rows = []
    for index, (part, _, turns) in enumerate(cases):
        scene, passes = f"{count // 1000}k {size_px}²", ("forward", "both")[index % 2]
        rows.append({"scene": scene, "by": part.name, "passes": passes, "rounds": turns, **part.figures()})
    for row, published in zip(rows, prototype_ms, strict=False):
        row["prototype_ms"] = published
    for row, reference in zip(rows, rows[2:], strict=False):
        row["times_torch"] = round(reference["median_ms"] / row["median_ms"])
    return rows


def _tasks(rasterizer: Rasterizer, splats: Splats, views: Views) -> tuple[Callable[[], Renders], Callable[[], object]]:
    options = RasterizeOptions(depth="sum")
    leaves = [t.requires_grad_() for t in splats[:5]]
    generator = torch.Generator().manual_seed(0)
    size = (1, views.height, views.width)
    weights = [torch.randn(*size, 4, generator=generator), torch.randn(*size, generator=generator)]

    @torch.no_grad()
    def forward() -> Renders:
        return rasterizer(splats, views, options)

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(rasterizer(splats, views, options)[:2], leaves, weights)

    return forward, forward_and_backward
