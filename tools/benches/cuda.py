"""The engine's functions on CUDA, each by the package that does it: what ``tools/gpu_check.py`` times."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from avatar.engine import (
    HashGrid,
    Packed,
    RasterizeOptions,
    Splats,
    composite,
    hash_encode_reference,
    rasterize_reference,
)
from avatar.engine.cuda import gsplat

from .case import Case
from .scenes import front_view, shell

SCENES, REFERENCE_MAX, REFERENCE_ROUNDS = ((50_000, 512), (200_000, 1024)), 50_000, 2
POINTS, CHANNELS, STEP_M = 100_000, 4, 1 / 512


def parts() -> Mapping[str, Callable[[], list[Case]]]:
    """What can be measured alone, by name; making a part's cases raises ImportError where it lacks something."""
    return {
        "rasterize": _rasterize,
        "hash grid": lambda: _hash_grid("torch", hash_encode_reference),
        "hash grid, fused": lambda: _hash_grid("tiny-cuda-nn", _module("tiny_cuda_nn").hash_encode),
        "march": _march,
        "composite": _composite,
    }


def _module(name: str) -> ModuleType:
    return import_module(f"avatar.engine.cuda.{name}")


def _rasterize() -> list[Case]:
    found = []
    for count, size_px in SCENES:
        scene = f"{count // 1000}k {size_px}², depth"
        found += _rasterize_cases(scene, gsplat.rasterize, "gsplat", count, size_px)
        if count <= REFERENCE_MAX:
            found += _rasterize_cases(scene, rasterize_reference, "torch", count, size_px)
    return found


def _rasterize_cases(scene: str, rasterizer: Callable, by: str, count: int, size_px: int) -> list[Case]:
    inputs, view = tuple(t.cuda() for t in shell(count)[:5]), front_view(size_px)
    views = view._replace(camera_from_world=view[0].cuda(), intrinsics_px=view[1].cuda())
    options = RasterizeOptions(depth="sum")
    return _cases(scene, by, lambda *leaves: rasterizer(Splats(*leaves), views, options)[:2], inputs)


def _hash_grid(by: str, encode: Callable[[Tensor, Tensor, HashGrid], Tensor]) -> list[Case]:
    grid = HashGrid()
    points, table = torch.rand(POINTS, 3, device="cuda"), 1e-2 * torch.randn(grid.num_rows, 2, device="cuda")
    scene = f"{POINTS // 1000}k points, 2^19"
    return _cases(scene, by, lambda points, table: (encode(points, table, grid),), (points, table))


def _march() -> list[Case]:
    rays, grid = import_module(".march", __package__).body_in_box(256)
    rays = rays._replace(origins=rays.origins.cuda(), directions=rays.directions.cuda())
    grid, march = type(grid)(*(t.cuda() for t in grid)), _module("nerfacc").march
    return [Case(scene="65k rays", passes="forward", run=lambda: march(rays, grid, STEP_M), by="nerfacc")]


def _composite() -> list[Case]:
    found, _ = import_module(".march", __package__).packed_samples()
    packed = Packed(*(t.cuda() for t in found))
    count = len(packed.ray_ids)
    leaves = (40 * torch.rand(count, device="cuda"), torch.rand(count, CHANNELS, device="cuda"))
    fused = _module("nerfacc").composite
    return [
        *_cases("800k samples", "nerfacc", lambda sigmas, values: fused(sigmas, values, packed)[:3], leaves),
        *_cases("800k samples", "torch", lambda sigmas, values: composite(sigmas, values, packed)[:3], leaves),
    ]


def _cases(scene: str, by: str, function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> list[Case]:
    """Without gradients, and with those of all ``inputs``."""
    leaves = [t.requires_grad_() for t in inputs]
    weights = [torch.randn_like(out) for out in function(*leaves)]

    @torch.no_grad()
    def forward() -> object:
        return function(*leaves)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(*leaves), leaves, weights)

    rounds = REFERENCE_ROUNDS if by == "torch" else None
    return [
        Case(scene=scene, passes=passes, run=run, by=by, rounds=rounds)
        for passes, run in (("forward", forward), ("both", both))
    ]
