"""A distance field of a hash grid and a net, with its gradients by the points, and its plain-torch specification."""

import torch
from jaxtyping import Float
from torch import Tensor

from .distance_net import check_distance_net, distance_net, distance_net_reference
from .hash_encode import check_hash_inputs, hash_encode, hash_encode_reference, hash_gradients
from .hash_grid import HashGrid
from .library import is_compiled


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
    features = hash_encode(points, table, grid)
    outputs, slopes = distance_net(torch.cat([2 * points - 1, features], 1), *layers, beta)
    return outputs, 2 * slopes[:, :3] + hash_gradients(slopes[:, 3:], points, table, grid)


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
