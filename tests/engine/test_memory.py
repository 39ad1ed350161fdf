"""Calls leave no memory behind: small ones, forward and backward, a thousand times."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.engine import (
    HashGrid,
    Influences,
    MeshTree,
    OccupancyGrid,
    Rays,
    Skinnable,
    SparseMap,
    closest_points,
    composite,
    forward_kinematics,
    hash_encode,
    march,
    on_frames,
    rasterize,
    rasterize_mesh,
    relight,
    skin,
    ssim,
)

pytestmark = [
    pytest.mark.usefixtures("needs_engine"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells"),
]
WARM_UP, CALLS, ALLOWED_KB = 200, 1000, 512  # half a kilobyte a call: pages come in greater lumps than calls
GRID = HashGrid(num_levels=3, log2_table_size=8)


def given(*size: int, seed: int = 0) -> Tensor:
    """Numbers from 0 to 1 that gradients flow to."""
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)).requires_grad_()


FACES, IDS = torch.tensor([[0, 1, 2], [1, 3, 2]]), torch.tensor([[0, 1], [1, 2], [2, 0]]).int()
POINTS, QUATS, CORNERS, WEIGHTS = given(3, 3), given(3, 4), given(4, 3), torch.full((3, 2), 0.5)
JOINTS, IMAGE, TABLE, DENSITIES = given(3, 16), given(3, 24, 24), given(GRID.num_rows, 2), given(64)
RAYS = Rays(torch.zeros(3, 3), torch.nn.functional.normalize(POINTS.detach(), dim=1))
CELLS = OccupancyGrid(torch.ones(8, 8, 8, dtype=torch.bool), torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
PACKED = march(RAYS, CELLS, 0.05)
MAP = SparseMap(IDS.long(), WEIGHTS, 3)

CALLS_OF: dict[str, Callable[[], Tensor]] = {
    "skin": lambda: skin(Skinnable(POINTS, QUATS, POINTS), Influences(IDS, WEIGHTS), JOINTS).points,
    "closest_points": lambda: closest_points(POINTS, MeshTree(FACES, CORNERS)).distances,
    "composite": lambda: composite(given(len(PACKED.ray_ids)), given(len(PACKED.ray_ids), 4), PACKED).opacities,
    "march": lambda: march(RAYS, CELLS, 0.05).t_ends,
    "hash_encode": lambda: hash_encode(POINTS, TABLE, GRID),
    "kinematics": lambda: forward_kinematics((-1, 0, 1), POINTS.detach(), QUATS, POINTS[0]),
    "on_frames": lambda: on_frames(QUATS.detach(), POINTS, POINTS, QUATS)[0],
    "rasterize_mesh": lambda: rasterize_mesh(9 * CORNERS[:, :2].detach(), torch.ones(4), FACES, 12, 12).depths,
    "relight": lambda: relight(given(3, 4, 3), POINTS, POINTS.detach(), given(8, 3)),
    "sparse_map": lambda: MAP(POINTS),
    "ssim": lambda: ssim(IMAGE, IMAGE.detach()),
}


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def growth_kb(call: Callable[[], Tensor]) -> int:
    """By how much resident memory grows between the calls that warm up and the last one."""
    before = 0
    for index in range(WARM_UP + CALLS):
        if index == WARM_UP:
            before = resident_kb()
        result = call()
        if result.requires_grad:
            result.sum().backward()
    return resident_kb() - before


@pytest.mark.parametrize("name", CALLS_OF)
def test_calls_leave_nothing_behind(name: str):
    assert growth_kb(CALLS_OF[name]) < ALLOWED_KB


def test_renders_leave_nothing_behind(make_scene):
    scene = make_scene(count=20, height=20, width=20, sh_degree=1, dtype=torch.float32)
    means = scene.splats.means.requires_grad_()
    assert growth_kb(lambda: rasterize(scene.splats._replace(means=means), scene.views).colors) < ALLOWED_KB
