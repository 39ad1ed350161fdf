"""A distance field of a hash grid and a net, with its gradients by the points, and its plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .distance_net import check_distance_net, distance_net_reference
from .hash_encode import (
    HashEncodeArguments,
    HashGradientArguments,
    check_hash_inputs,
    hash_encode_reference,
    hash_scene,
    packed_grid,
)
from .hash_grid import HashGrid
from .library import call, integers, is_compiled, pointers
from .reused_memory import empty

LANES = 16
"""Points of which a Jacobian lies together."""
_INPUTS = "Tensor points, Tensor table, int[] grid, float scale, Tensor w1, Tensor b1, Tensor w2, Tensor b2, float beta"
_KEPT = "Tensor inputs, Tensor slopes, Tensor jacobian"
torch.library.define("avatar::distance_field", f"({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::distance_field_backward",
    f"(Tensor v_outputs, Tensor v_gradients, {_KEPT}, {_INPUTS}, bool wants_points)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)


def distance_field(
    points: Float[Tensor, "n 3"],
    table: Float[Tensor, "m d"],
    grid: HashGrid,
    w1: Float[Tensor, "h i"],
    b1: Float[Tensor, " h"],
    w2: Float[Tensor, "o h"],
    b2: Float[Tensor, " o"],
    beta: float,
) -> tuple[Float[Tensor, "n o"], Float[Tensor, "n 3"]]:
    """``distance_net`` of positions in [-1, 1] and of the features that a hash grid has there.

    Args:
        points: in the unit cube; the net is told ``2 points - 1``, then ``hash_encode(points, table, grid)``.
        table: of the grid.
        grid: its shape.
        w1, b1, w2, b2, beta: of the net, with ``3 + grid.num_features`` inputs.

    Returns:
        The net's outputs, the distance first, and the gradient of the distance by the points.

    Differentiable once with respect to all tensors, through the gradient as well. Raises ValueError when shapes or
    dtypes do not fit.
    """
    layers = (w1, b1, w2, b2)
    _check(points, table, grid, *layers, beta)
    if not is_compiled() or points.device.type != "cpu":
        return distance_field_reference(points, table, grid, *layers, beta)
    net = (t.contiguous() for t in layers)
    return torch.ops.avatar.distance_field(points.contiguous(), table.contiguous(), *packed_grid(grid), *net, beta)[:2]


def distance_field_reference(
    points: Float[Tensor, "n 3"],
    table: Float[Tensor, "m d"],
    grid: HashGrid,
    w1: Float[Tensor, "h i"],
    b1: Float[Tensor, " h"],
    w2: Float[Tensor, "o h"],
    b2: Float[Tensor, " o"],
    beta: float,
) -> tuple[Float[Tensor, "n o"], Float[Tensor, "n 3"]]:
    """The same in plain torch, for any device; differentiable as often as one likes."""
    _check(points, table, grid, w1, b1, w2, b2, beta)
    wants_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        moved = points if points.requires_grad else points.detach().requires_grad_()
        inputs = torch.cat([2 * moved - 1, hash_encode_reference(moved, table, grid)], 1)
        outputs, _ = distance_net_reference(inputs, w1, b1, w2, b2, beta)
        (gradients,) = torch.autograd.grad(outputs[:, 0].sum(), moved, create_graph=wants_graph)
    return outputs if wants_graph else outputs.detach(), gradients


def _check(points: Tensor, table: Tensor, grid: HashGrid, *net) -> None:
    check_hash_inputs(points, table, grid)
    inputs = points.new_empty(0, 3 + grid.num_features)
    check_distance_net(inputs, *net)


class _JacobianArguments(ctypes.Structure):
    _fields_ = [*integers("num_points num_levels num_features"), *pointers("jacobian rows vectors")]


def _multiply(kernel: str, jacobian: Tensor, rows: Tensor, vectors: Tensor) -> None:
    """``hash_push_forward`` finds rows ``J vectors``, ``hash_pull_back`` vectors ``J^T rows``."""
    num_levels, _, num_features = jacobian.shape[:3]
    addresses = (t.data_ptr() for t in (jacobian, rows, vectors))
    call(kernel, rows.dtype, _JacobianArguments(len(rows), num_levels, num_features, *addresses))


def _jacobian_shape(points: Tensor, grid: list[int]) -> tuple[int, ...]:
    num_levels, num_features = grid[:2]
    return num_levels, -(-len(points) // LANES), num_features, 3, LANES


def _features(rows: Tensor) -> int:
    """Where the grid's features begin: behind the position."""
    return rows.data_ptr() + 3 * rows.itemsize


@torch.library.impl("avatar::distance_field", "cpu")
def _forward(points: Tensor, table: Tensor, grid: list[int], scale: float, *net) -> tuple[Tensor, ...]:
    gradients, inputs = torch.empty_like(points), points.new_empty(len(points), 3 + grid[0] * grid[1])
    jacobian = empty(_jacobian_shape(points, grid), points.dtype)
    torch.sub(2 * points, 1, out=inputs[:, :3])
    scene = hash_scene(points, table, None, grid, scale, before=3)
    call("hash_encode", points.dtype, HashEncodeArguments(scene, _features(inputs), jacobian.data_ptr()))
    outputs, slopes = torch.ops.avatar.distance_net(inputs, *net)
    _multiply("hash_pull_back", jacobian, slopes, gradients)
    return outputs, gradients, inputs, slopes, jacobian


@torch.library.register_fake("avatar::distance_field")
def _forward_fake(points: Tensor, table: Tensor, grid: list[int], scale: float, *net) -> tuple[Tensor, ...]:
    del table, scale
    outputs, inputs = points.new_empty(len(points), len(net[2])), points.new_empty(len(points), 3 + grid[0] * grid[1])
    jacobian = points.new_empty(_jacobian_shape(points, grid))
    return outputs, torch.empty_like(points), inputs, torch.empty_like(inputs), jacobian


@torch.library.impl("avatar::distance_field_backward", "cpu")
def _backward(v_outputs: Tensor, v_gradients: Tensor, inputs: Tensor, slopes: Tensor, jacobian: Tensor, *rest):
    points, table, grid, scale, *net, wants_points = rest
    v_slopes, v_points = torch.empty_like(slopes), points.new_empty(0)
    v_table = empty(tuple(table.shape), table.dtype)
    _multiply("hash_push_forward", jacobian, v_slopes, v_gradients)
    v_inputs, *v_net = torch.ops.avatar.distance_net_backward(v_outputs, v_slopes, inputs, *net)
    scene = hash_scene(points, table, v_gradients, grid, scale, before=3)
    both = (_features(v_inputs), _features(slopes))
    call("hash_encode_backward", points.dtype, HashGradientArguments(scene, *both, None, v_table.data_ptr()))
    if wants_points:
        v_points, bent = torch.empty_like(points), torch.empty_like(points)
        _multiply("hash_pull_back", jacobian, v_inputs, v_points)
        moved = HashGradientArguments(scene, _features(slopes), None, bent.data_ptr(), None)
        call("hash_encode_backward", points.dtype, moved)
        v_points += bent
    return v_points, v_table, *v_net


@torch.library.register_fake("avatar::distance_field_backward")
def _backward_fake(v_outputs: Tensor, v_gradients: Tensor, inputs: Tensor, slopes: Tensor, jacobian: Tensor, *rest):
    del v_outputs, v_gradients, inputs, slopes, jacobian
    points, table, _, _, *layers, _, wants_points = rest
    v_points = torch.empty_like(points) if wants_points else points.new_empty(0)
    return v_points, *(torch.empty_like(t) for t in (table, *layers))


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    points, table, grid, scale, *layers, beta = inputs
    ctx.grid, ctx.beta = (grid, scale), beta
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(*output[2:], points, table, *layers)
    ctx.set_materialize_grads(False)


@once_differentiable
def _differentiate(ctx, v_outputs: Tensor | None, v_gradients: Tensor | None, *_) -> tuple:
    inputs, slopes, jacobian, points, table, *layers = ctx.saved_tensors
    v_outputs = points.new_zeros(len(points), len(layers[2])) if v_outputs is None else v_outputs.contiguous()
    v_gradients = torch.zeros_like(points) if v_gradients is None else v_gradients.contiguous()
    wants_points = ctx.needs_input_grad[0]
    v_points, v_table, *v_layers = torch.ops.avatar.distance_field_backward(
        v_outputs, v_gradients, inputs, slopes, jacobian, points, table, *ctx.grid, *layers, ctx.beta, wants_points
    )
    return v_points if wants_points else None, v_table, None, None, *v_layers, None


torch.library.register_autograd("avatar::distance_field", _differentiate, setup_context=_setup_context)
