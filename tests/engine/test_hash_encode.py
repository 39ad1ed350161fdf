"""Hash encoding against its specification, an independent walk over corners, and numbers worked out by hand."""

import itertools

import pytest
import torch
from torch import Tensor

from avatar.engine import HashGrid, hash_encode, hash_encode_reference, library, set_threads

SMALL = HashGrid(num_levels=4, log2_table_size=9, base_resolution=5, per_level_scale=1.5)
SMOOTH = HashGrid(num_levels=4, log2_table_size=9, base_resolution=5, per_level_scale=1.5, interpolation="smoothstep")


def problem(count: int, grid: HashGrid, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Random points, some on the rim and some outside, and a random table."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    special = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0, 1, 0.5], [-0.5, 0.5, 2]], dtype=torch.float64)
    points[1:5] = special[: max(count - 1, 0)]
    table = torch.randn(grid.num_rows, grid.features_per_level, generator=generator, dtype=torch.float64)
    return points.to(dtype), table.to(dtype)


def outcome(function, points: Tensor, table: Tensor, grid: HashGrid, order: int = 2) -> list[Tensor]:
    """Features, their gradients, and the gradients of a loss on those gradients."""
    generator = torch.Generator().manual_seed(1)

    def weights(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    inputs = [points.clone().requires_grad_(), table.clone().requires_grad_()]
    features = function(*inputs, grid)
    v_features = weights(features).requires_grad_()
    gradients = torch.autograd.grad(features, inputs, v_features, create_graph=order == 2)
    found = [features, *gradients]
    if order == 2:
        loss = torch.stack([(weights(gradient) * gradient).sum() for gradient in gradients]).sum()
        found += torch.autograd.grad(loss, [v_features, *inputs])
    return [t.detach() for t in found]


def errors(function, grid: HashGrid, count: int = 300, dtype: torch.dtype = torch.float64) -> list[float]:
    """Largest error of each result, relative to its largest value."""
    truth = outcome(hash_encode_reference, *problem(count, grid), grid)
    found = outcome(function, *problem(count, grid, dtype), grid)
    assert [t.shape for t in found] == [t.shape for t in truth]
    return [float((f - t).abs().max() / t.abs().max()) for f, t in zip(found, truth, strict=True)]


@pytest.mark.parametrize("count", [1, 2, 16, 17, 5000])
@pytest.mark.parametrize("grid", [SMALL, SMOOTH], ids=["linear", "smoothstep"])
def test_equals_the_reference_to_second_order(count: int, grid: HashGrid):
    assert max(errors(hash_encode, grid, count)) < 1e-12


@pytest.mark.parametrize("features", [1, 4, 8])
def test_other_numbers_of_features(features: int):
    grid = HashGrid(num_levels=3, features_per_level=features, log2_table_size=9, base_resolution=6)
    assert max(errors(hash_encode, grid, 100)) < 1e-12


def test_single_precision():
    """A position within a level is rounded to 2^-19 of a cell's width here; second derivatives grow as its square."""
    assert max(errors(hash_encode, SMOOTH, 5000, torch.float32)) < 1e-4


def test_the_default_grid():
    points, table = problem(400, HashGrid())
    found, expected = hash_encode(points, table, HashGrid()), hash_encode_reference(points, table, HashGrid())
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


def walk(point: list[float], table: Tensor, grid: HashGrid) -> list[float]:
    """Features of one point by loops over 32-bit numbers: dense indices wrap at the end of a level, as hashes do."""
    features = []
    for level in grid.levels:
        positions = [x * level.scale + 0.5 for x in point]
        total = torch.zeros(grid.features_per_level, dtype=table.dtype)
        for corner in itertools.product((0, 1), repeat=3):
            weight, dense, hashed = 1.0, 0, 0
            for axis, (position, upper) in enumerate(zip(positions, corner, strict=True)):
                vertex = int(position) + upper
                weight *= position % 1 if upper else 1 - position % 1
                dense += vertex * level.resolution**axis
                hashed ^= vertex * (1, 2654435761, 805459861)[axis] % 2**32
            row = (hashed if level.resolution**3 > level.num_rows else dense) % level.num_rows
            total += weight * table[level.first_row + row]
        features += total.tolist()
    return features


@pytest.mark.parametrize("function", [hash_encode, hash_encode_reference])
@pytest.mark.parametrize("point", [[0.1, 0.7, 0.33], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.25, 0.999]])
def test_corner_by_corner(function, point: list[float]):
    _, table = problem(1, SMALL)
    found = function(torch.tensor([point], dtype=torch.float64), table, SMALL)
    torch.testing.assert_close(found[0].tolist(), walk(point, table, SMALL), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [hash_encode, hash_encode_reference])
def test_one_cell_by_hand(function):
    """Two vertices an axis: the middle of the cube is at position 1, on row 7 = 1 + 2 + 4 of the vertex (1, 1, 1).

    At 1/4 the position is 3/4, so that vertices 0 and 1 share 1/4 to 3/4.
    """
    grid = HashGrid(num_levels=1, features_per_level=1, base_resolution=2, log2_table_size=3, per_level_scale=1.0)
    table = torch.arange(8.0, dtype=torch.float64)[:, None]
    points = torch.tensor([[0.5, 0.5, 0.5], [0.25, 0.5, 0.5], [0.5, 0.25, 0.5]], dtype=torch.float64)
    expected = [[7.0], [7 - 0.25], [7 - 2 * 0.25]]
    torch.testing.assert_close(function(points, table, grid).tolist(), expected)


@pytest.mark.parametrize("function", [hash_encode, hash_encode_reference])
def test_points_outside_are_those_of_the_rim_without_gradient(function):
    _, table = problem(1, SMALL)
    points = torch.tensor([[-3.0, 0.3, 1.5]], dtype=torch.float64, requires_grad=True)
    features = function(points, table, SMALL)
    torch.testing.assert_close(features, function(torch.tensor([[0.0, 0.3, 1]], dtype=torch.float64), table, SMALL))
    (gradient,) = torch.autograd.grad(features.sum(), points)
    assert gradient[0, 0] == gradient[0, 2] == 0
    assert gradient[0, 1] != 0


@pytest.mark.parametrize("function", [hash_encode, hash_encode_reference])
def test_no_number_spoils_its_own_point_only(function):
    points, table = problem(40, SMALL)
    truth = function(points, table, SMALL)
    points[20, 1], points[21, 0], points[22, 2] = float("nan"), float("inf"), float("-inf")
    found = function(points, table, SMALL)
    assert found[20].isnan().all()
    assert found[21:23].isfinite().all()
    others = torch.arange(40).sub(21).abs() > 1
    assert torch.equal(found[others], truth[others])


def test_constant_tables_and_linear_fields():
    """Weights sum to one; a table that is linear in the vertices gives a field that is linear in the point."""
    grid = HashGrid(num_levels=1, features_per_level=1, base_resolution=8, log2_table_size=9, per_level_scale=1.0)
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 6 / 7
    constant = torch.full((512, 1), 3.0, dtype=torch.float64)
    torch.testing.assert_close(hash_encode(points, constant, grid), torch.full((50, 1), 3.0, dtype=torch.float64))
    vertices = torch.cartesian_prod(*3 * [torch.arange(8.0, dtype=torch.float64)]).flip(1)
    slope = torch.tensor([1.0, -2, 0.5], dtype=torch.float64)
    points.requires_grad_()
    field = hash_encode(points, (vertices @ slope)[:, None], grid)
    torch.testing.assert_close(field[:, 0], (points * 7 + 0.5) @ slope)
    (gradient,) = torch.autograd.grad(field.sum(), points)
    torch.testing.assert_close(gradient, (7 * slope).expand(50, 3))


@pytest.mark.parametrize("count", [0, 1])
def test_few_points(count: int):
    points, table = problem(count, SMALL)
    results = outcome(hash_encode, points, table, SMALL)
    assert [len(t) for t in results] == [count, count, SMALL.num_rows, count, count, SMALL.num_rows]
    assert count or all(bool((t == 0).all()) for t in results)


def test_number_of_threads_changes_nothing():
    points, table = problem(20_000, SMOOTH, torch.float32)
    results = []
    try:
        for threads in (1, 2, 3, 2, 1, 5, 2):
            set_threads(threads)
            results.append(outcome(hash_encode, points, table, SMOOTH))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_many_points_are_the_sum_of_their_parts():
    """More points than are kept level by level at once."""
    points, table = problem(140_000, SMALL, torch.float32)
    points.requires_grad_()
    table.requires_grad_()

    def results(part: Tensor) -> list[Tensor]:
        features = hash_encode(part, table, SMALL)
        return [features, *torch.autograd.grad(features.square().sum(), (part, table))]

    whole, parts = results(points), [results(part) for part in points.split(70_000)]
    assert torch.equal(whole[0], torch.cat([part[0] for part in parts]))
    assert torch.equal(whole[1], torch.cat([part[1] for part in parts]))
    torch.testing.assert_close(whole[2], parts[0][2] + parts[1][2], rtol=1e-4, atol=1e-3 * float(whole[2].abs().max()))


def test_there_is_no_third_derivative():
    """It is refused, not wrong."""
    points, table = problem(5, SMOOTH)
    points.requires_grad_()
    (first,) = torch.autograd.grad(hash_encode(points, table, SMOOTH).sum(), points, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


def few() -> tuple[Tensor, Tensor]:
    points, table = problem(3, HashGrid(num_levels=2, log2_table_size=4, base_resolution=2))
    return (0.1 + 0.8 * points[:1]).requires_grad_(), table.requires_grad_()


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep"])
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
@pytest.mark.parametrize("wrong", [None, "points", "table"])
def test_gradients_by_finite_differences_and_the_planted_error_they_must_find(
    interpolation, check, wrong: str | None, doubled
):
    grid = HashGrid(num_levels=2, log2_table_size=4, base_resolution=2, interpolation=interpolation)

    def encode(points: Tensor, table: Tensor) -> Tensor:
        points = doubled(points) if wrong == "points" else points
        return hash_encode(points, doubled(table) if wrong == "table" else table, grid)

    if wrong is None:
        assert check(encode, few(), nondet_tol=0.0)
    elif check is torch.autograd.gradcheck:
        assert not check(encode, few(), raise_exception=False)


def test_registration(needs_engine):
    points, table = problem(9, SMALL)
    shape, scale = [4, 2, 9, 5, 0], 1.5
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    inputs = (points.requires_grad_(), table.requires_grad_(), None, shape, scale)
    torch.library.opcheck(torch.ops.avatar.hash_encode.default, inputs, test_utils=checks)
    backward = (torch.randn(9, 8).double(), *inputs, [True, True])
    torch.library.opcheck(torch.ops.avatar.hash_encode_backward.default, backward, test_utils=checks)


def test_without_the_library_the_reference_stands_in(monkeypatch):
    points, table = problem(9, SMALL)
    expected = hash_encode(points, table, SMALL)
    monkeypatch.setitem(hash_encode.__globals__, "is_compiled", lambda: False)
    torch.testing.assert_close(hash_encode(points, table, SMALL), expected, rtol=1e-12, atol=1e-12)
    assert library.is_compiled is not hash_encode.__globals__["is_compiled"]


@pytest.mark.parametrize("function", [hash_encode, hash_encode_reference])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": torch.zeros(5, 2).double()}, r"table: expected shape \(1664, 2\), got \(5, 2\)"),
        ({"table": torch.zeros(1664, 2)}, "table: expected float32 or float64 as the points, got torch.float32"),
        ({"points": torch.zeros(9, 3).half()}, "points: expected float32 or float64 as the points, got torch.float16"),
    ],
)
def test_wrong_inputs_are_named(function, change: dict, message: str):
    points, table = problem(9, SMALL)
    with pytest.raises(ValueError, match=message):
        function(**{"points": points, "table": table, "grid": SMALL, **change})
