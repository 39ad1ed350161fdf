"""Ray marching against its specification, to the last bit, and numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from avatar.engine import OccupancyGrid, Packed, Rays, march, march_reference, occupied_cells, set_threads

BOTH = pytest.mark.parametrize("function", [march, march_reference])
BOX = torch.tensor([[-0.7, -1.0, 0.3], [1.1, 0.4, 2.0]], dtype=torch.float64)


def uniform(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blobs(*size: int) -> Tensor:
    """Cells of a few blobs: full blocks, empty blocks, and both kinds of cells in some."""
    noise = uniform(1, 1, *(max(2, n // 6) for n in size), seed=1)
    return torch.nn.functional.interpolate(noise, size=size, mode="trilinear")[0, 0] > 0.62


def many_rays(count: int) -> Rays:
    """From inside and outside the box to anywhere, with planes of their own; some along axes, faces and diagonals."""
    few, extent = count // 9, BOX[1] - BOX[0]
    origins = BOX.mean(0) + (uniform(count, 3, seed=2) - 0.5) * 5
    directions = torch.nn.functional.normalize(BOX[0] + uniform(count, 3, seed=3) * extent - origins, dim=1)
    directions[: 2 * few, 0] = 0
    directions[:few, 1] = 0
    origins[:few, :2] = BOX[0, :2] + extent[:2] * (uniform(few, 2, seed=8) * 8).round() / 8
    directions[-few:] = extent * (uniform(few, 1, seed=4) - 0.5).sign()
    origins[-few:] = BOX.mean(0) - 3 * directions[-few:]
    near = uniform(count, seed=5) * 2
    return Rays(origins, directions, near, near + uniform(count, seed=6) * 4)


def to(dtype: torch.dtype, rays: Rays, grid: OccupancyGrid) -> tuple[Rays, OccupancyGrid]:
    """The same in another floating type."""
    near, far = (torch.as_tensor(t).to(dtype) for t in rays[2:])
    rays = Rays(rays.origins.to(dtype), rays.directions.to(dtype), near, far)
    return rays, OccupancyGrid(grid.occupied, grid.box.to(dtype))


def assert_same(found: Packed, expected: Packed) -> None:
    for name, one, other in zip(Packed._fields, found, expected, strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(40, 40, 40), (9, 23, 70), (1, 8, 64), (1, 1, 1)])
@pytest.mark.parametrize("step", [0.011, 0.2])
def test_equals_the_reference_to_the_last_bit(dtype: torch.dtype, size: tuple[int, ...], step: float):
    grid = OccupancyGrid(blobs(*size) if min(size) > 1 else torch.ones(size, dtype=torch.uint8), BOX)
    (rays, grid), jitter = to(dtype, many_rays(450), grid), uniform(450, seed=7).to(dtype)
    assert_same(march(rays, grid, step), expected := march_reference(rays, grid, step))
    assert len(expected.ray_ids) > 30 * len(set(size))
    assert_same(march(rays, grid, step, jitter), march_reference(rays, grid, step, jitter))
    assert_same(march(rays, grid, step, jitter, 7), march_reference(rays, grid, step, jitter, 7))
    apart = Rays(rays.origins, rays.directions, 0.25, math.inf)
    assert_same(march(apart, grid, step), march_reference(apart, grid, step))


def test_far_from_the_origin_rounding_hides_no_sample():
    """A kilometre away a float is good to a hundredth of a cell: blocks are left early rather than late."""
    shift = torch.tensor([1000.0, -400.0, 70.0], dtype=torch.float64)
    rays, grid = many_rays(450), OccupancyGrid(blobs(64, 64, 64), BOX + shift)
    rays, grid = to(torch.float32, rays._replace(origins=rays.origins + shift), grid)
    assert_same(march(rays, grid, 0.007), march_reference(rays, grid, 0.007))


@BOTH
def test_by_hand(function):
    """Four cells of 1 m along x, the second and the last occupied, steps of 0.4 m from t = 0, the box from t = 1 on.

    Middles are 0.2 + 0.4 i; those in [2, 3) are of steps 5 and 6 (2.2, 2.6), in [4, 5) of 10 and 11 (4.2, 4.6).
    """
    occupied = torch.tensor([False, True, False, True]).view(4, 1, 1)
    grid = OccupancyGrid(occupied, torch.tensor([[1.0, 0, 0], [5, 1, 1]]))
    rays = Rays(torch.tensor([[0.0, 0.5, 0.5], [6.1, 0.5, 0.5]]), torch.tensor([[1.0, 0, 0], [-1, 0, 0]]))
    packed = function(rays, grid, 0.4)
    steps = torch.tensor([5.0, 6, 10, 11, 3, 4, 8, 9])  # back from x = 6.1: middles in (1.1, 2.1] and (3.1, 4.1]
    torch.testing.assert_close(packed.t_starts, 0.4 * steps)
    torch.testing.assert_close(packed.t_ends, 0.4 * (steps + 1))
    assert packed.ray_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert packed.starts.tolist() == [0, 4, 8]
    assert packed.packed_info.tolist() == [[0, 4], [4, 4]]


@BOTH
def test_planes_jitter_and_limit_by_hand(function):
    """One full cell from t = 0 to 10: near at 2, far at 5, steps of 1 that begin half a step behind near."""
    grid = OccupancyGrid(torch.ones(1, 1, 1, dtype=torch.uint8), torch.tensor([[0.0, 0, 0], [10, 1, 1]]))
    rays = Rays(torch.tensor([[0.0, 0.5, 0.5]]), torch.tensor([[1.0, 0, 0]]), 2.0, 5.0)
    assert function(rays, grid, 1.0).t_starts.tolist() == [2, 3, 4]
    # The third step has its middle on the far plane, which is no longer inside.
    assert function(rays, grid, 1.0, torch.tensor([0.5])).t_starts.tolist() == [2.5, 3.5]
    assert function(rays, grid, 1.0, None, 2).t_starts.tolist() == [2, 3]
    assert function(rays, grid, 1.0, None, 0).t_starts.tolist() == []


def test_middles_lie_in_occupied_cells_and_nothing_is_missing():
    grid, rays, step = OccupancyGrid(blobs(30, 30, 30), BOX), many_rays(300), 0.013
    packed = march(rays, grid, step)
    points = rays.origins[packed.ray_ids] + packed.middles[:, None] * rays.directions[packed.ray_ids]
    cells = ((points - BOX[0]) / (BOX[1] - BOX[0]) * 30).long().clamp(0, 29)
    assert bool(grid.occupied[tuple(cells.unbind(1))].all())
    full = march(rays, OccupancyGrid(torch.ones_like(grid.occupied), BOX), step)
    empty = march(rays, OccupancyGrid(~grid.occupied, BOX), step)
    assert len(full.ray_ids) == len(packed.ray_ids) + len(empty.ray_ids)
    rows = [list(zip(p.ray_ids.tolist(), p.t_starts.tolist(), strict=True)) for p in (packed, empty, full)]
    assert sorted(rows[0] + rows[1]) == rows[2]


@BOTH
def test_rays_that_meet_nothing(function):
    grid = OccupancyGrid(torch.ones(4, 4, 4, dtype=torch.bool), torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    nan, inf = math.nan, math.inf
    origins = torch.tensor(
        [[0.5, 0.5, 0.5], [2, 2, 2], [nan, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, inf, 0.5], [0.5, 0.5, 3], [-1, 2, 0.5]]
    )
    directions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, nan, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert function(Rays(origins, directions), grid, 0.1).starts.tolist() == [0] * 8
    inside = Rays(origins[:1].expand(5, 3), directions[1:2].expand(5, 3))
    near = torch.tensor([nan, 0, 0.3, 0.6, inf])
    far = torch.tensor([1, nan, 0.3, 1, 1])
    assert function(Rays(*inside[:2], near, far), grid, 0.1).starts.tolist() == [0] * 6
    assert function(inside, grid, 0.1, torch.full((5,), nan)).starts.tolist() == [0] * 6
    assert function(inside, OccupancyGrid(torch.zeros(4, 4, 4).byte(), grid.box), 0.1).starts.tolist() == [0] * 6
    assert function(inside, grid, 0.1).starts.tolist() == [0, 5, 10, 15, 20, 25]
    nothing = function(Rays(torch.zeros(0, 3), torch.zeros(0, 3)), grid, 0.1)
    assert [tuple(t.shape) for t in nothing] == [(0,), (0,), (0,), (1,)]


@BOTH
def test_too_many_steps_are_refused(function):
    grid = OccupancyGrid(torch.zeros(4, 4, 4, dtype=torch.bool), torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    rays = Rays(torch.full((2, 3), 0.5), torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    with pytest.raises(ValueError, match="step: expected at most 4194304 steps"):
        function(rays, grid, 1e-9)
    with pytest.raises(ValueError, match="step: expected at most 4194304 steps"):
        function(rays._replace(directions=rays.directions * 1e-9), grid, 0.01)
    assert function(rays, grid, 1e-6).starts.tolist() == [0, 0, 0]


def test_number_of_threads_changes_nothing():
    rays, grid = many_rays(2000), OccupancyGrid(blobs(40, 40, 40), BOX)
    try:
        results = []
        for threads in (1, 2, 3, 2):
            set_threads(threads)
            results.append(march(rays, grid, 0.02))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert_same(result, results[0])


def test_samples_can_be_left_out():
    packed = march(many_rays(50), OccupancyGrid(blobs(20, 20, 20), BOX), 0.05)
    is_kept = torch.arange(len(packed.ray_ids)) % 3 == 0
    kept = packed.keep(is_kept)
    assert torch.equal(kept.t_starts, packed.t_starts[is_kept])
    assert torch.equal(kept.ray_ids, torch.arange(50).repeat_interleave(kept.packed_info[:, 1]))
    assert kept.num_rays == 50


def test_cells_denser_than_the_threshold_or_the_mean():
    densities = torch.tensor([0.0, 0.2, 1.0, 4.0]).view(2, 2, 1)
    assert occupied_cells(densities, 0.5).flatten().tolist() == [False, False, True, True]
    assert occupied_cells(densities, 100.0).flatten().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"directions": torch.zeros(3, 3)}, r"directions: expected torch.float32 \(2, 3\), got torch.float32 \(3, 3\)"),
        ({"origins": torch.zeros(2, 3).double()}, "directions: expected torch.float64"),
        ({"near": torch.zeros(3)}, r"near: expected torch.float32 \(2,\)"),
        ({"jitter": torch.zeros(1)}, r"jitter: expected torch.float32 \(2,\)"),
        ({"box": torch.tensor([[1.0, 1, 1], [0, 0, 0]])}, "box: expected its lowest, then its highest corner"),
        ({"box": torch.tensor([[0.0, 0, 0], [1, math.nan, 1]])}, "box: expected its lowest, then its highest corner"),
        ({"occupied": torch.zeros(0, 4, 4).bool()}, "occupied: expected cells along x, y and z"),
        ({"step": 0.0}, "expected a positive step and no negative max_samples, got 0.0 and None"),
        ({"step": math.nan}, "expected a positive step"),
        ({"max_samples": -1}, "no negative max_samples, got 0.1 and -1"),
    ],
)
@BOTH
def test_wrong_inputs_are_named(function, changes: dict, message: str):
    fields = {
        **{"origins": torch.zeros(2, 3), "directions": torch.ones(2, 3), "near": 0.0, "far": 1.0},
        **{"occupied": torch.ones(4, 4, 4).bool(), "box": torch.tensor([[0.0, 0, 0], [1, 1, 1]])},
        **{"step": 0.1, "jitter": None, "max_samples": None},
        **changes,
    }
    rays, grid = (record(*(fields[name] for name in record._fields)) for record in (Rays, OccupancyGrid))
    with pytest.raises(ValueError, match=message):
        function(rays, grid, fields["step"], fields["jitter"], fields["max_samples"])
