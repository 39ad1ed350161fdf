"""A distance field of a hash grid and a net, with its gradients by the points, and its plain-torch specification."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .distance_net import (
    DistanceNetArguments,
    check_distance_net,
    distance_net_reference,
    distance_net_structure,
)
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
STEP = 1 << 22
"""What is kept is made in multiples of so many numbers, so that about as many points next time find it again."""
_INPUTS = "Tensor points, Tensor table, int[] grid, float scale, Tensor w1, Tensor b1, Tensor w2, Tensor b2, float beta"
torch.library.define("avatar::distance_field", f"({_INPUTS}) -> (Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::distance_field_backward",
    f"(Tensor v_outputs, Tensor v_gradients, Tensor kept, {_INPUTS}, bool wants_points)"
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


class _Kept(NamedTuple):
    """What the backward pass needs of the forward pass: the net's inputs, its slopes, and the inputs' derivative.

    One piece of memory holds it all, for large ones are used again.
    """

    inputs: Float[Tensor, "n i"]
    slopes: Float[Tensor, "n i"]
    jacobian: Float[Tensor, "l b d 3 16"]

    @staticmethod
    def size(num_points: int, grid: Sequence[int]) -> int:
        """Numbers to hold it; of many points rather too many."""
        blocks, columns = -(-num_points // LANES), grid[0] * grid[1]
        size = 2 * num_points * (3 + columns) + 3 * LANES * blocks * columns
        return size if size < STEP else -(-size // STEP) * STEP

    @classmethod
    def of(cls, memory: Float[Tensor, " s"], num_points: int, grid: Sequence[int]) -> "_Kept":
        """The parts of ``memory``."""
        rows, shape = (num_points, 3 + grid[0] * grid[1]), (grid[0], -(-num_points // LANES), grid[1], 3, LANES)
        sizes = (math.prod(rows), math.prod(rows), math.prod(shape))
        inputs, slopes, jacobian = memory[: sum(sizes)].split(sizes)
        return cls(inputs.view(rows), slopes.view(rows), jacobian.view(shape))

    def multiply(self, kernel: str, rows: Tensor, vectors: Tensor) -> None:
        """``hash_push_forward`` finds rows ``J vectors``, ``hash_pull_back`` vectors ``J^T rows``."""
        num_levels, _, num_features = self.jacobian.shape[:3]
        addresses = (t.data_ptr() for t in (self.jacobian, rows, vectors))
        call(kernel, rows.dtype, _JacobianArguments(len(rows), num_levels, num_features, *addresses))


def _features(rows: Tensor) -> int:
    """Where the grid's features begin: behind the position."""
    return rows.data_ptr() + 3 * rows.itemsize


@torch.library.impl("avatar::distance_field", "cpu")
def _forward(points: Tensor, table: Tensor, grid: list[int], scale: float, *net) -> tuple[Tensor, Tensor, Tensor]:
    outputs, gradients = points.new_empty(len(points), len(net[2])), torch.empty_like(points)
    memory = empty((_Kept.size(len(points), grid),), points.dtype)
    kept = _Kept.of(memory, len(points), grid)
    torch.sub(2 * points, 1, out=kept.inputs[:, :3])
    scene = hash_scene(points, table, None, grid, scale, before=3)
    call("hash_encode", points.dtype, HashEncodeArguments(scene, _features(kept.inputs), kept.jacobian.data_ptr()))
    results = (t.data_ptr() for t in (outputs, kept.slopes))
    call("distance_net", points.dtype, DistanceNetArguments(distance_net_structure(kept.inputs, *net), *results))
    kept.multiply("hash_pull_back", kept.slopes, gradients)
    return outputs, gradients, memory


@torch.library.register_fake("avatar::distance_field")
def _forward_fake(points: Tensor, table: Tensor, grid: list[int], scale: float, *net) -> tuple[Tensor, Tensor, Tensor]:
    del table, scale
    outputs, memory = points.new_empty(len(points), len(net[2])), points.new_empty(_Kept.size(len(points), grid))
    return outputs, torch.empty_like(points), memory


@torch.library.impl("avatar::distance_field_backward", "cpu")
def _backward(v_outputs: Tensor, v_gradients: Tensor, memory: Tensor, *inputs) -> tuple[Tensor, ...]:
    points, table, grid, scale, *net, wants_points = inputs
    kept = _Kept.of(memory, len(points), grid)
    v_slopes, v_table = torch.empty_like(kept.slopes), empty(tuple(table.shape), table.dtype)
    kept.multiply("hash_push_forward", v_slopes, v_gradients)
    v_inputs, *v_net = torch.ops.avatar.distance_net_backward(v_outputs, v_slopes, kept.inputs, *net)
    scene = hash_scene(points, table, v_gradients, grid, scale, before=3)
    both = (_features(v_inputs), _features(kept.slopes))
    call("hash_encode_backward", points.dtype, HashGradientArguments(scene, *both, None, v_table.data_ptr()))
    if not wants_points:
        return points.new_empty(0), v_table, *v_net
    v_points, v_moved = torch.empty_like(points), torch.empty_like(points)
    kept.multiply("hash_pull_back", v_inputs, v_points)
    along = HashGradientArguments(scene, _features(kept.slopes), None, v_moved.data_ptr(), None)
    call("hash_encode_backward", points.dtype, along)
    return v_points.add_(v_moved), v_table, *v_net


@torch.library.register_fake("avatar::distance_field_backward")
def _backward_fake(v_outputs: Tensor, v_gradients: Tensor, memory: Tensor, *inputs) -> tuple[Tensor, ...]:
    del v_outputs, v_gradients, memory
    points, table, _, _, *layers, _, wants_points = inputs
    v_points = torch.empty_like(points) if wants_points else points.new_empty(0)
    return v_points, *(torch.empty_like(t) for t in (table, *layers))


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    points, table, grid, scale, *layers, beta = inputs
    ctx.grid, ctx.beta = (grid, scale), beta
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)  # of what is kept nobody wants zeros
    ctx.save_for_backward(output[2], points, table, *layers)


@once_differentiable
def _differentiate(ctx, v_outputs: Tensor | None, v_gradients: Tensor | None, _: None) -> tuple:
    memory, points, table, *layers = ctx.saved_tensors
    inputs = (points, table, *ctx.grid, *layers, ctx.beta, ctx.needs_input_grad[0])
    above = (
        points.new_zeros(len(points), len(layers[2])) if v_outputs is None else v_outputs.contiguous(),
        torch.zeros_like(points) if v_gradients is None else v_gradients.contiguous(),
    )
    v_points, v_table, *v_layers = torch.ops.avatar.distance_field_backward(*above, memory, *inputs)
    return v_points if ctx.needs_input_grad[0] else None, v_table, None, None, *v_layers, None


torch.library.register_autograd("avatar::distance_field", _differentiate, setup_context=_setup_context)
