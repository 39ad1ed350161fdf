"""Rays through an occupancy grid, beside the plain-torch specification."""

import torch
from torch import Tensor

from avatar.engine import OccupancyGrid, Packed, Rays, march, march_reference

from .case import Case, Curve

STEP_M, CELLS, REFERENCE_RAYS = 1 / 512, 128, 4096
LIMITS_MS = (30, 60)


def cases() -> list[Case]:
    """Rays of a 256² image around a body-sized ellipsoid in a unit box: about 800k samples."""
    (rays, grid), scene = body_in_box(256), f"65k rays, {CELLS}³"
    parts = [Rays(*pair) for pair in zip(*(t.split(REFERENCE_RAYS) for t in rays[:2]), strict=True)]
    goal, floor = LIMITS_MS

    def reference() -> list[Packed]:
        return [march_reference(part, grid, STEP_M) for part in parts]  # all at once take gigabytes

    return [
        Case(scene=scene, passes="forward", run=lambda: march(rays, grid, STEP_M), goal_ms=goal, floor_ms=floor),
        Case(scene=scene, passes="forward", run=reference, by="torch", rounds=1),
    ]


def curves() -> list[Curve]:
    """Over rays."""
    return [Curve(name=f"march {CELLS}³", along="rays", points=[(px * px, _case(px)) for px in (128, 256, 512)])]


def _case(size_px: int) -> Case:
    rays, grid = body_in_box(size_px)
    return Case(scene=f"{size_px}²", passes="forward", run=lambda: march(rays, grid, STEP_M))


def body_in_box(size_px: int) -> tuple[Rays, OccupancyGrid]:
    """One camera's rays that cover the front of a unit box, and an ellipsoid of cells in it."""
    middles = torch.linspace(-1, 1, CELLS)
    x, y, z = torch.meshgrid(middles, middles, middles, indexing="ij")
    occupied = (x / 0.35) ** 2 + (y / 0.9) ** 2 + (z / 0.3) ** 2 < 1
    across = torch.linspace(-0.5, 0.5, size_px)
    v, u = torch.meshgrid(across, across, indexing="ij")
    directions = torch.stack([u, v, torch.full_like(u, 1.2)], -1).view(-1, 3)
    origins = torch.tensor([0.5, 0.5, -1.2]).expand(size_px * size_px, 3)
    rays = Rays(origins.contiguous(), torch.nn.functional.normalize(directions, dim=1))
    return rays, OccupancyGrid(occupied, torch.tensor([[0.0, 0, 0], [1, 1, 1]]))


def packed_samples() -> tuple[Packed, Tensor]:
    """What the first case finds, and for each sample the signed distance to the ellipsoid's middle sheet, metres."""
    rays, grid = body_in_box(256)
    packed = march(rays, grid, STEP_M)
    points = rays.origins[packed.ray_ids] + packed.middles[:, None] * rays.directions[packed.ray_ids]
    return packed, 0.1 - (points[:, 2] - 0.5).abs()
