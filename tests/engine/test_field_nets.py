"""The nets of a field against their specifications, finite differences, and numbers worked out by hand."""

import math
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from avatar.engine import (
    HashGrid,
    distance_field,
    distance_field_reference,
    distance_net,
    distance_net_reference,
    relu_net,
    relu_net_reference,
    set_threads,
)
from avatar.engine.distance_net import check_distance_net
from avatar.engine.hash_encode import packed_grid

BETA = 100.0
GRID = HashGrid(num_levels=4, log2_table_size=9, base_resolution=5, per_level_scale=1.5)
Inputs = list[Tensor]


def draw(*size: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layers(*widths: int) -> Inputs:
    """Weights and biases by turns; those of the first are small, so that a sharp softplus bends within reach."""
    found = []
    for k, (before, after) in enumerate(pairwise(widths)):
        found += [draw(after, before, seed=2 * k, scale=0.1 / before), draw(after, seed=2 * k + 1, scale=0.02)]
    return found


def net_inputs(count: int, widths: tuple[int, ...] = (27, 64, 13)) -> Inputs:
    return [draw(count, widths[0], seed=9), *layers(*widths)]


def field_inputs(count: int, grid: HashGrid = GRID, hidden: int = 20) -> Inputs:
    points = torch.rand(count, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return [points, draw(grid.num_rows, 2, seed=8), *layers(3 + grid.num_features, hidden, 5)]


def as_field(function: Callable, grid: HashGrid = GRID) -> Callable:
    return lambda points, table, *net: function(points, table, grid, *net, beta=BETA)


def as_net(function: Callable) -> Callable:
    return lambda *tensors: function(*tensors, beta=BETA)


def as_relu(function: Callable) -> Callable:
    return lambda inputs, *tensors: (function(inputs, tensors[::2], tensors[1::2]),)


OPERATORS = {
    "distance_net": (as_net(distance_net), as_net(distance_net_reference), net_inputs),
    "distance_field": (as_field(distance_field), as_field(distance_field_reference), field_inputs),
    "relu_net": (as_relu(relu_net), as_relu(relu_net_reference), lambda n: net_inputs(n, (19, 64, 64, 3))),
}
each_operator = pytest.mark.parametrize("name", OPERATORS)


def outcome(function: Callable, inputs: Inputs, dtype: torch.dtype = torch.float64) -> Inputs:
    """Outputs and the gradients of a fixed random sum of them."""
    leaves = [t.to(dtype).requires_grad_() for t in inputs]
    outputs = function(*leaves)
    above = [draw(*t.shape, seed=5 + k).to(dtype) for k, t in enumerate(outputs)]
    return [t.detach() for t in (*outputs, *torch.autograd.grad(outputs, leaves, above))]


def errors(name: str, inputs: Inputs, dtype: torch.dtype = torch.float64) -> list[float]:
    """Largest error of each result, relative to its largest value."""
    compiled, reference, _ = OPERATORS[name]
    found, truth = outcome(compiled, inputs, dtype), outcome(reference, inputs)
    assert [t.shape for t in found] == [t.shape for t in truth]
    return [float((f - t).abs().max() / t.abs().max()) for f, t in zip(found, truth, strict=True) if t.numel()]


@each_operator
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-4)])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 10_000])
def test_agrees_with_its_specification(name: str, dtype: torch.dtype, tolerance: float, count: int, needs_engine):
    """In single precision the second derivative of a sharp softplus and of a grid magnifies rounding a thousandfold."""
    assert max(errors(name, OPERATORS[name][2](count), dtype)) < tolerance


@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 5, 2), (16, 16, 16), (33, 100, 17), (70, 130, 50)])
def test_any_sizes(widths: tuple[int, ...], needs_engine):
    assert max(errors("distance_net", net_inputs(100, widths))) < 1e-12
    assert max(errors("relu_net", net_inputs(100, widths))) < 1e-12


@pytest.mark.parametrize("widths", [(9, 1), (92, 64, 64, 16), (4, 3, 4, 3, 4, 3, 4, 3, 4)])
def test_any_number_of_layers(widths: tuple[int, ...], needs_engine):
    assert max(errors("relu_net", net_inputs(100, widths))) < 1e-12


@each_operator
def test_no_samples(name: str):
    function, _, inputs = OPERATORS[name]
    results = outcome(function, inputs(0))
    assert all(not t.numel() or bool((t == 0).all()) for t in results)


@each_operator
def test_threads_change_no_bit(name: str, needs_engine):
    function, _, inputs = OPERATORS[name]
    found = []
    try:
        for threads in (1, 2, 3):
            set_threads(threads)
            found.append(outcome(function, inputs(10_000), torch.float32))
    finally:
        set_threads(None)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@each_operator
@pytest.mark.parametrize("wrong", [False, True])
def test_gradients_by_finite_differences_and_the_planted_error_they_must_find(name: str, wrong: bool, doubled):
    """Of all tensors, the inner ones included, through the outputs and the slopes."""
    tiny = HashGrid(num_levels=2, log2_table_size=4, base_resolution=2, interpolation="smoothstep")
    function, inputs = OPERATORS[name][0], net_inputs(5, (3, 4, 2))
    if name == "distance_field":
        function, inputs = as_field(distance_field, tiny), field_inputs(3, tiny, hidden=4)
    leaves = [t.requires_grad_() for t in inputs]

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return function(*(doubled(t) if wrong and k == len(tensors) - 3 else t for k, t in enumerate(tensors)))

    assert torch.autograd.gradcheck(run, leaves, nondet_tol=0.0, raise_exception=not wrong) != wrong


@pytest.mark.parametrize("function", [distance_net, distance_net_reference])
def test_one_unit_by_hand(function):
    """At z = 0 the softplus is log 2 / beta and its slope a half: 3 log 2 / beta + 1 and 3 / 2 of the weight."""
    inputs = torch.tensor([[2.0, -1.0], [200.0, -1.0], [-200.0, -1.0]], dtype=torch.float64)
    w1, b1, w2, b2 = (torch.tensor(t, dtype=torch.float64) for t in ([[1.0, 4.0]], [2.0], [[3.0]], [1.0]))
    outputs, slopes = function(inputs, w1, b1, w2, b2, BETA)
    expected = [[3 * math.log(2) / BETA + 1], [3 * 198.0 + 1], [1.0]]
    torch.testing.assert_close(outputs.tolist(), expected, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(slopes.tolist(), [[1.5, 6.0], [3.0, 12.0], [0.0, 0.0]], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("function", [relu_net, relu_net_reference])
def test_rectifiers_by_hand(function):
    """2 and -3 become 2 and 0, and these 2 * 5 + 0 * 7 - 1; the last layer is not rectified."""
    weights = [torch.tensor([[2.0], [-3.0]]), torch.tensor([[5.0, 7.0]])]
    biases = [torch.zeros(2), torch.tensor([-1.0])]
    assert function(torch.tensor([[1.0]]), weights, biases).tolist() == [[9.0]]
    assert function(torch.tensor([[0.0]]), weights, biases).tolist() == [[-1.0]]


@pytest.mark.parametrize("name", ["distance_net", "distance_field"])
def test_slopes_are_the_gradient_of_the_first_output(name: str):
    function, _, inputs = OPERATORS[name]
    first, *rest = inputs(100)
    first.requires_grad_()
    outputs, slopes = function(first, *rest)
    (expected,) = torch.autograd.grad(outputs[:, 0].sum(), first)
    torch.testing.assert_close(slopes, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["distance_net", "relu_net"])
def test_no_number_and_infinity_spoil_their_own_samples_only(name: str):
    function, _, inputs = OPERATORS[name]
    tensors = [t.float() for t in inputs(40)]
    truth = function(*tensors)
    tensors[0][20, 1], tensors[0][21, 0] = float("nan"), 1e30
    found = function(*tensors)
    others = torch.arange(40).sub(20.5).abs() > 1
    for result, expected in zip(found, truth, strict=True):
        assert result[20].isnan().all()
        assert torch.equal(result[others], expected[others])


@pytest.mark.parametrize("name", ["distance_net", "distance_field"])
def test_each_of_the_results_may_be_all_that_is_used(name: str):
    function, _, inputs = OPERATORS[name]
    leaves = [t.requires_grad_() for t in inputs(70)]
    outputs, slopes = function(*leaves)
    losses = [outputs.square().sum(), slopes.square().sum()]
    both = torch.autograd.grad(losses[0] + losses[1], leaves, retain_graph=True)
    parts = [torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True) for loss in losses]
    for found, one, other in zip(both, *parts, strict=True):
        torch.testing.assert_close(found, one + other, rtol=1e-10, atol=1e-12)


def test_many_points_of_a_field_are_the_sum_of_their_parts(needs_engine):
    """More points than are kept level by level at once, and memory that is used again."""
    points, *rest = (t.float().requires_grad_() for t in field_inputs(140_000))

    def results(part: Tensor) -> tuple[Tensor, ...]:
        outputs = as_field(distance_field)(part, *rest)
        loss = outputs[0].square().sum() + outputs[1].square().sum()
        return *outputs, *torch.autograd.grad(loss, [part, *rest])

    whole, parts = results(points), [results(part) for part in points.split(70_000)]
    for k, found in enumerate(whole):
        both = [part[k] for part in parts]
        if k < 3:
            assert torch.equal(found, torch.cat(both))
        else:
            torch.testing.assert_close(found, both[0] + both[1], rtol=1e-3, atol=1e-3 * float(found.abs().max()))


@each_operator
def test_strides_do_not_matter(name: str):
    function, _, inputs = OPERATORS[name]
    plain = [t.float() for t in inputs(50)]
    strided = [torch.stack([t, t], -1)[..., 0] for t in plain]
    for found, expected in zip(function(*strided), function(*plain), strict=True):
        assert torch.equal(found, expected)


@each_operator
def test_where_gradients_are_off_values_are_the_same(name: str):
    function, _, inputs = OPERATORS[name]
    leaves = [t.requires_grad_() for t in inputs(50)]
    with torch.no_grad():
        found = function(*leaves)
    assert not any(t.requires_grad for t in found)
    assert all(torch.equal(a, b.detach()) for a, b in zip(found, function(*leaves), strict=True))


@each_operator
def test_there_is_no_second_derivative(name: str, needs_engine):
    """It is refused, not wrong."""
    function, _, inputs = OPERATORS[name]
    first, *rest = (t.requires_grad_() for t in inputs(5))
    (v_first,) = torch.autograd.grad(function(first, *rest)[0].square().sum(), first, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        v_first.sum().backward()


@each_operator
def test_without_the_library_the_reference_stands_in(name: str, monkeypatch):
    function, reference, inputs = OPERATORS[name]
    monkeypatch.setattr(sys.modules[f"avatar.engine.{name}"], "is_compiled", lambda: False)
    for found, expected in zip(function(*inputs(9)), reference(*inputs(9)), strict=True):
        assert torch.equal(found, expected)


def test_registration(needs_engine):
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    tensors = [t.requires_grad_() for t in net_inputs(9)]
    torch.library.opcheck(torch.ops.avatar.distance_net.default, (*tensors, BETA), test_utils=checks)
    lists = (tensors[0], tensors[1::2], tensors[2::2])
    torch.library.opcheck(torch.ops.avatar.relu_net.default, lists, test_utils=checks)
    points, table, *net = (t.requires_grad_() for t in field_inputs(9))
    inputs = (points, table, *packed_grid(GRID), *net, BETA)
    torch.library.opcheck(torch.ops.avatar.distance_field.default, inputs, test_utils=checks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": (5,)}, r"inputs: expected shape \(5, 5\), got \(5,\)"),
        ({"w1": (64, 26)}, r"w1: expected shape \(64, 27\), got \(64, 26\)"),
        ({"b1": (63,)}, r"b1: expected shape \(64,\), got \(63,\)"),
        ({"w2": (13, 63)}, r"w2: expected shape \(13, 64\), got \(13, 63\)"),
        ({"w2": (0, 64), "b2": (0,)}, "layers of at least one unit, got 27, 64, 0"),
    ],
)
def test_shapes_that_do_not_fit_a_distance_net_are_named(change: dict, message: str):
    shapes = {"inputs": (5, 27), "w1": (64, 27), "b1": (64,), "w2": (13, 64), "b2": (13,), **change}
    with pytest.raises(ValueError, match=message):
        check_distance_net(*map(torch.zeros, shapes.values()), beta=BETA)


@pytest.mark.parametrize("function", [distance_net, distance_net_reference])
def test_wrong_inputs_of_a_distance_net_are_named(function):
    inputs = net_inputs(5)
    for beta in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"beta: expected a positive number, got {beta}"):
            function(*inputs, beta)
    with pytest.raises(ValueError, match=r"b2: expected float32 .* got torch\.float32"):
        function(*inputs[:-1], inputs[-1].float(), BETA)
    with pytest.raises(ValueError, match=r"inputs: expected float32 .* got torch\.float16"):
        function(*(t.half() for t in inputs), BETA)


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        ([], [], "1 to 8, got 0 weights and 0 biases"),
        (9 * [torch.zeros(2, 2)], 9 * [torch.zeros(2)], "1 to 8, got 9 weights and 9 biases"),
        ([torch.zeros(2, 2)], [], "got 1 weights and 0 biases"),
        ([torch.zeros(2, 3)], [torch.zeros(2)], r"weights\[0\]: expected shape \(2, 2\), got \(2, 3\)"),
        ([torch.zeros(3, 2)], [torch.zeros(2)], r"biases\[0\]: expected shape \(3,\), got \(2,\)"),
        ([torch.zeros(0, 2)], [torch.zeros(0)], r"layers of at least one unit, got \[2, 0\]"),
        ([torch.zeros(2, 2).double()], [torch.zeros(2)], r"weights\[0\]: .* got torch\.float64"),
    ],
)
@pytest.mark.parametrize("function", [relu_net, relu_net_reference])
def test_wrong_inputs_of_a_relu_net_are_named(function, weights: list, biases: list, message: str):
    with pytest.raises(ValueError, match=message):
        function(torch.zeros(5, 2), weights, biases)


def test_wrong_inputs_of_a_field_are_named():
    points, table, *net = field_inputs(5)
    with pytest.raises(ValueError, match=r"table: expected shape"):
        distance_field(points, table[:-1], GRID, *net, beta=BETA)
    with pytest.raises(ValueError, match=r"w1: expected shape \(20, 11\), got \(20, 10\)"):
        distance_field(points, table, GRID, net[0][:, 1:], *net[1:], beta=BETA)
    with pytest.raises(ValueError, match="table: expected float32 or float64 as the points"):
        distance_field(points, table.float(), GRID, *net, beta=BETA)
