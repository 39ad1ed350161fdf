"""nerfacc against the specification: our adapter with stand-in kernels everywhere, the real ones where CUDA is.

The stand-in is written from what ``grid.cu`` and ``scan.cu`` do, one ray after the other; inputs that the real kernels
would misread or never come back from are refused.
"""

import math
import sys
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor

from avatar import engine
from avatar.engine import OccupancyGrid, Packed, Rays, march_reference
from avatar.engine.cuda import nerfacc as adapter

NAMES = ("weights_from_densities", "weights_from_alphas", "accumulate", "composite", "composite_alphas")


class NerfaccKernels:
    """The functions of ``nerfacc.cuda._backend._C`` that the adapter reaches, with their arguments."""

    def ray_aabb_intersect(self, origins, directions, boxes, near, far, missed) -> tuple[Tensor, Tensor, Tensor]:
        """Where rays enter and leave boxes, and whether they do: nerfacc's own specification."""
        assert boxes.shape == (1, 6)
        assert (near, far) == (-math.inf, math.inf)
        return import_module("nerfacc.grid")._ray_aabb_intersect(origins, directions, boxes, near, far, missed)

    def traverse_grids(self, origins, directions, mask, binaries, boxes, *rest) -> tuple:
        """Intervals and samples of a traversal of one grid with steps of constant size."""
        sorted_t, order, hits, near, far, step, cone, *wanted, limit, over_allocate = rest
        r = len(origins)
        expected = {(r, 3): (origins, directions), (r,): (mask, near, far), (r, 2): (sorted_t, order), (r, 1): (hits,)}
        assert all(t.shape == shape and t.is_contiguous() for shape, tensors in expected.items() for t in tensors)
        assert [t.dtype for t in (mask, binaries, hits)] == [torch.bool] * 3
        assert (order.dtype, binaries.shape[0], cone, over_allocate) == (torch.int64, 1, 0.0, False)
        assert wanted == [True] * 3
        assert all(bool(t.isfinite().all()) for t in (origins, directions, near)), "the kernel would never end"
        assert not far.isnan().any()
        assert (directions != 0).any(1).all()
        edges, counts = [], []
        for ray in range(r):
            found = []
            if hits[ray, 0]:
                span = (max(float(sorted_t[ray, 0]), float(near[ray])), min(float(sorted_t[ray, 1]), float(far[ray])))
                line = (origins[ray].tolist(), directions[ray].tolist(), float(near[ray]))
                found = _march(*line, span, binaries[0], boxes[0].tolist(), (step, limit))
            edges.append(_edges(found))
            counts.append(len(found))
        values = torch.tensor([t for row in edges for t, _, _ in row], dtype=origins.dtype)
        sides = torch.tensor([side for row in edges for _, *side in row], dtype=torch.bool).view(-1, 2)
        intervals = _spec(torch.tensor([len(row) for row in edges]), values, sides)
        return intervals, _spec(torch.tensor(counts), values.new_zeros(sum(counts)), None), near

    def exclusive_sum(self, starts, counts, values, normalize, backward) -> Tensor:
        """Sums along rays before each sample, or after it."""
        assert not normalize
        return _scan(starts, counts, values, lambda row: row.cumsum(0) - row, backward)

    def exclusive_prod_forward(self, starts, counts, values) -> Tensor:
        """Products along rays before each sample."""
        return _scan(starts, counts, values, lambda row: torch.cat([row.new_ones(1), row[:-1]]).cumprod(0), False)

    def exclusive_prod_backward(self, starts, counts, values, products, v_products) -> Tensor:
        """The gradient, with its flaw where values are zero."""
        sums = self.exclusive_sum(starts, counts, v_products * products, False, True)
        return sums / values.clamp(min=1e-10)


def _march(origin, direction, near, span, occupied, box, steps) -> list[tuple[float, float]]:
    """From cell to cell, stepping until the middle of a step lies behind the face of the cell."""
    begin, end = span
    step, limit = steps
    low, high = box[:3], box[3:]
    sizes = [(high[k] - low[k]) / occupied.shape[k] for k in range(3)]
    faces = [
        (low[k] + i * sizes[k] - origin[k]) / direction[k]
        for k in range(3)
        if direction[k] != 0
        for i in range(occupied.shape[k] + 1)
    ]
    found, t = [], near
    while begin < end and t + step / 2 < begin:
        t += step
    for here, there in pairwise([begin, *sorted(face for face in faces if begin < face < end), end]):
        middle = (here + there) / 2
        cell = [int((origin[k] + middle * direction[k] - low[k]) / sizes[k]) for k in range(3)]
        is_full = bool(occupied[tuple(min(max(c, 0), n - 1) for c, n in zip(cell, occupied.shape, strict=True))])
        while t + step / 2 < there:
            if is_full and (limit <= 0 or len(found) < limit):
                found.append((t, t + step))
            t += step
    return found


def _edges(intervals: list[tuple[float, float]]) -> list[tuple[float, bool, bool]]:
    """Edges with whether they begin and whether they end an interval; neighbours share one."""
    edges: list[tuple[float, bool, bool]] = []
    for begin, end in intervals:
        if edges and edges[-1][0] == begin:
            edges[-1] = (begin, True, True)
        else:
            edges.append((begin, True, False))
        edges.append((end, False, True))
    return edges


def _spec(counts: Tensor, values: Tensor, sides: Tensor | None) -> SimpleNamespace:
    ids = torch.arange(len(counts)).repeat_interleave(counts)
    left, right = (None, None) if sides is None else sides.unbind(1)
    starts = counts.cumsum(0) - counts
    names = {"chunk_starts": starts, "chunk_cnts": counts, "is_left": left, "is_right": right, "is_valid": None}
    return SimpleNamespace(vals=values, ray_indices=ids, **names)


def _scan(starts: Tensor, counts: Tensor, values: Tensor, function, backward: bool) -> Tensor:
    assert starts.dtype == counts.dtype == torch.int64
    out = torch.empty_like(values)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        row = values[start : start + count]
        if count:
            out[start : start + count] = function(row.flip(0)).flip(0) if backward else function(row)
    return out


@pytest.fixture
def nerfacc() -> ModuleType:
    """The package whose meaning we keep."""
    module = pytest.importorskip("nerfacc", reason="nerfacc is not installed: pip install --no-deps nerfacc==0.5.3")
    if version("nerfacc") != "0.5.3":
        pytest.skip(f"nerfacc 0.5.3 is the one whose meaning we keep; {version('nerfacc')} is installed")
    return module


@pytest.fixture
def nerfacc_on_cpu(nerfacc: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """nerfacc itself with its kernels replaced; the adapter takes it, and tensors of any device and dtype."""
    backend = ModuleType("nerfacc.cuda._backend")
    vars(backend)["_C"] = NerfaccKernels()
    monkeypatch.setitem(sys.modules, "nerfacc.cuda._backend", backend)
    monkeypatch.setattr(adapter, "extra", lambda name: {"nerfacc": nerfacc}[name])
    monkeypatch.setattr(adapter, "_check_tensor", lambda *_: None)
    return nerfacc


def uniform(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scene(count: int, dtype: torch.dtype = torch.float64, device: str = "cpu") -> tuple[Rays, OccupancyGrid]:
    """Rays to a box of cells, some along an axis, some beside it, with planes of their own."""
    box = torch.tensor([[-1.0, -0.5, 0.2], [1, 0.5, 1.6]], dtype=torch.float64)
    origins = (uniform(count, 3, seed=2) - 0.5) * 4 + box.mean(0)
    directions = torch.nn.functional.normalize(box[0] + uniform(count, 3, seed=3) * (box[1] - box[0]) - origins, dim=1)
    directions[: count // 5, 0] = 0
    near = uniform(count, seed=4)
    planes = (near, near + 4 * uniform(count, seed=5))
    rays = Rays(*(t.to(device, dtype) for t in (origins, directions, *planes)))
    return rays, OccupancyGrid((uniform(7, 5, 9, seed=6) < 0.4).to(device), box.to(device, dtype))


def samples(packed: Packed) -> tuple[Tensor, Tensor]:
    """An alpha, which also serves as a density, and values for every sample; some alphas are zero and some one."""
    given, values = uniform(len(packed.ray_ids), seed=8), uniform(len(packed.ray_ids), 3, seed=9)
    given[::7], given[::11] = 0, 1
    return given.to(packed.t_starts), values.to(packed.t_starts)


def outcome(function, given: Tensor, values: Tensor, packed: Packed) -> list[Tensor]:
    """Outputs and gradients for a fixed random loss, on the CPU in float64."""
    given, values = inputs = [t.detach().clone().requires_grad_() for t in (given, values)]
    outputs = function(given, packed) if "weights" in function.__name__ else function(given, values, packed)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t) for t in outputs]
    gradients = torch.autograd.grad(outputs, inputs, weights, allow_unused=True, materialize_grads=True)
    return [t.detach().cpu().double() for t in (*outputs, *gradients)]


@pytest.mark.usefixtures("nerfacc_on_cpu")
@pytest.mark.parametrize("with_jitter", [False, True])
@pytest.mark.parametrize("max_samples", [None, 0, 5])
def test_marching_means_what_the_reference_says(with_jitter: bool, max_samples: int | None):
    rays, grid = scene(150)
    jitter = uniform(150, seed=7) if with_jitter else None
    found = adapter.march(rays, grid, 0.037, jitter, max_samples)
    truth = march_reference(rays, grid, 0.037, jitter, max_samples)
    assert torch.equal(found.starts, truth.starts)
    assert torch.equal(found.ray_ids, truth.ray_ids)
    torch.testing.assert_close(found.t_starts, truth.t_starts, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.t_ends, truth.t_ends, rtol=1e-12, atol=1e-12)
    assert max_samples is not None or len(truth.ray_ids) > 1000


@pytest.mark.usefixtures("nerfacc_on_cpu")
def test_rays_that_meet_nothing_never_reach_the_kernel():
    rays, grid = scene(12)
    nan, inf = math.nan, math.inf
    for index, broken in enumerate((nan, inf, nan, inf)):
        (rays.origins, rays.directions)[index % 2][index, index % 3] = broken
    rays.directions[4] = 0
    near, far = rays.near, rays.far
    assert isinstance(near, Tensor)
    assert isinstance(far, Tensor)
    near[5], far[6], near[7] = nan, nan, inf
    found, truth = adapter.march(rays, grid, 0.05), march_reference(rays, grid, 0.05)
    assert torch.equal(found.starts, truth.starts)
    nothing = Rays(*(t[:0] for t in (rays.origins, rays.directions, near, far)))
    assert adapter.march(nothing, grid, 0.05).starts.tolist() == [0]
    with pytest.raises(ValueError, match="expected at most 4194304 steps"):
        adapter.march(scene(12)[0], grid, 1e-8)


@pytest.mark.usefixtures("nerfacc_on_cpu")
@pytest.mark.parametrize("name", NAMES)
def test_compositing_means_what_the_reference_says(name: str):
    """To 1e-6: where alpha is one the adapter lowers it by 6e-8, so that nerfacc's gradient is right there."""
    packed = march_reference(*scene(60), 0.05)
    truth = outcome(getattr(engine, f"{name}_reference"), *samples(packed), packed)
    for found, expected in zip(outcome(getattr(adapter, name), *samples(packed), packed), truth, strict=True):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.usefixtures("nerfacc_on_cpu")
def test_why_alphas_of_one_are_lowered(monkeypatch: pytest.MonkeyPatch):
    packed = march_reference(*scene(60), 0.05)
    monkeypatch.setattr(adapter, "LARGEST_ALPHA", 1.0)
    truth = outcome(engine.weights_from_alphas_reference, *samples(packed), packed)
    found = outcome(adapter.weights_from_alphas, *samples(packed), packed)
    torch.testing.assert_close(found[0], truth[0])
    assert (found[2] - truth[2]).abs().max() > 0.1


@pytest.mark.usefixtures("nerfacc_on_cpu")
@pytest.mark.parametrize("name", NAMES)
def test_almost_nothing(name: str):
    packed = Packed(torch.zeros(0), torch.zeros(0), torch.zeros(0).long(), torch.zeros(4).long())
    for found in outcome(getattr(adapter, name), *samples(packed), packed):
        assert not found.any()


def test_its_own_functions_on_the_cpu_agree(nerfacc: ModuleType):
    """What of nerfacc runs without CUDA: rays of equally many samples, and sums."""
    rays, count = 9, 14
    ends = uniform(rays, count).cumsum(1)
    begins = ends - 0.7 * ends.diff(dim=1, prepend=0 * ends[:, :1])
    ids, starts = torch.arange(rays).repeat_interleave(count), torch.arange(rays + 1) * count
    packed = Packed(begins.flatten(), ends.flatten(), ids, starts)
    given, values = samples(packed)
    weights, transmittances, _ = nerfacc.render_weight_from_density(begins, ends, given.view(rays, count))
    ours = engine.weights_from_densities(given, packed)
    torch.testing.assert_close(ours.weights, weights.flatten())
    torch.testing.assert_close(ours.transmittances, transmittances.flatten())
    weights, transmittances = nerfacc.render_weight_from_alpha(given.view(rays, count))
    ours = engine.weights_from_alphas(given, packed)
    torch.testing.assert_close(ours.weights, weights.flatten())
    torch.testing.assert_close(ours.transmittances, transmittances.flatten())
    for channels in (values, None):
        theirs = nerfacc.accumulate_along_rays(given, channels, ids, rays)
        torch.testing.assert_close(engine.accumulate(given, channels, packed), theirs)
    assert packed.packed_info.tolist() == [[i * count, count] for i in range(rays)]


def test_tensors_elsewhere_are_refused():
    rays, grid = scene(3)
    with pytest.raises(
        ValueError, match=r"march: origins: expected float32 on a CUDA device, got torch.float64 on cpu"
    ):
        adapter.march(rays, grid, 0.1)
    packed = march_reference(rays, grid, 0.1)
    given, values = samples(packed)
    with pytest.raises(ValueError, match="weights_from_alphas: alphas: expected float32 on a CUDA device"):
        adapter.composite_alphas(given, values, packed)
    with pytest.raises(ValueError, match="box: expected its lowest"):
        adapter.march(rays, OccupancyGrid(grid.occupied, grid.box.flip(0)), 0.1)


@pytest.mark.cuda
@pytest.mark.parametrize("with_jitter", [False, True])
def test_the_kernel_marches_as_the_reference_does(with_jitter: bool):
    """float32, steps added up: at most 2 % of the rays may gain or lose a sample, 0.5 % of the others' move a step."""
    rays, grid = scene(5000, torch.float32)
    jitter = uniform(5000, seed=7).float() if with_jitter else None
    truth = march_reference(rays, grid, 0.01, jitter)
    origins, directions, near, far = (torch.as_tensor(t).cuda() for t in rays)
    on_gpu = OccupancyGrid(grid.occupied.cuda(), grid.box.cuda())
    jitter = None if jitter is None else jitter.cuda()
    found = adapter.march(Rays(origins, directions, near, far), on_gpu, 0.01, jitter)
    found = Packed(*(t.cpu() for t in found))
    is_same = found.starts.diff() == truth.starts.diff()
    assert is_same.double().mean() >= 0.98
    one, other = (packed.keep(is_same[packed.ray_ids]) for packed in (found, truth))
    for a, b in ((one.t_starts, other.t_starts), (one.t_ends, other.t_ends)):
        assert ((a - b).abs() > 1e-3).double().mean() <= 0.005
    assert torch.equal(one.ray_ids, other.ray_ids)


@pytest.mark.cuda
@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_composite_as_the_reference_does(name: str):
    """float32 against float64: some hundred samples on a ray, and 1 - exp(-x) that loses 6e-8."""
    packed = march_reference(*scene(800, torch.float32), 0.01)
    given, values = samples(packed)
    in_double = Packed(packed.t_starts.double(), packed.t_ends.double(), packed.ray_ids, packed.starts)
    truth = outcome(getattr(engine, f"{name}_reference"), given.double(), values.double(), in_double)
    on_gpu = Packed(*(t.cuda() for t in packed))
    for found, expected in zip(
        outcome(getattr(adapter, name), given.cuda(), values.cuda(), on_gpu), truth, strict=True
    ):
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
