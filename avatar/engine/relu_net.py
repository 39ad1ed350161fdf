"""A net of linear layers with rectifiers in between, in one pass, and its plain-torch specification."""

import ctypes
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, check_tensors, integers, is_compiled, pointers

MOST_LAYERS = 8
_INPUTS = "Tensor inputs, Tensor[] weights, Tensor[] biases"
torch.library.define("avatar::relu_net", f"({_INPUTS}) -> Tensor")
torch.library.define("avatar::relu_net_backward", f"(Tensor v_outputs, {_INPUTS}) -> (Tensor, Tensor[], Tensor[])")


def relu_net(
    inputs: Float[Tensor, "n i"],
    weights: Sequence[Float[Tensor, "_ _"]],
    biases: Sequence[Float[Tensor, " _"]],
) -> Float[Tensor, "n o"]:
    """Linear layers, one to eight, with a rectifier after all but the last.

    Args:
        inputs: of each sample.
        weights: of each layer, as of ``torch.nn.Linear``.
        biases: of each layer.

    Differentiable once with respect to all tensors. Raises ValueError when shapes, dtypes or the number of layers do
    not fit.
    """
    _check(inputs, weights, biases)
    if not is_compiled() or inputs.device.type != "cpu":
        return relu_net_reference(inputs, weights, biases)
    layers = ([t.contiguous() for t in tensors] for tensors in (weights, biases))
    return torch.ops.avatar.relu_net(inputs.contiguous(), *layers)


def relu_net_reference(
    inputs: Float[Tensor, "n i"],
    weights: Sequence[Float[Tensor, "_ _"]],
    biases: Sequence[Float[Tensor, " _"]],
) -> Float[Tensor, "n o"]:
    """The same in plain torch, for any device."""
    _check(inputs, weights, biases)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        inputs = torch.relu(inputs @ weight.mT + bias)
    return inputs @ weights[-1].mT + biases[-1]


def _check(inputs: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
    if not 1 <= len(weights) == len(biases) <= MOST_LAYERS:
        found = f"{len(weights)} weights and {len(biases)} biases"
        raise ValueError(f"relu_net: expected as many weights as biases, 1 to {MOST_LAYERS}, got {found}")
    widths = [inputs.shape[-1], *(len(weight) for weight in weights)]
    if min(widths) < 1:
        raise ValueError(f"relu_net: expected layers of at least one unit, got {widths}")
    named: dict[str, tuple[Tensor, tuple[int, ...]]] = {"inputs": (inputs, (len(inputs), widths[0]))}
    for layer, (before, after) in enumerate(pairwise(widths)):
        named[f"weights[{layer}]"] = (weights[layer], (after, before))
        named[f"biases[{layer}]"] = (biases[layer], (after,))
    check_tensors("relu_net", named, inputs.dtype)


class _Net(ctypes.Structure):
    _fields_ = [*integers("num_samples num_layers"), *pointers("widths inputs weights biases")]


class _Arguments(ctypes.Structure):
    _fields_ = [("net", _Net), *pointers("outputs")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("net", _Net), *pointers("out_outputs inputs weights biases")]


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array:
    return (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))


def _net(inputs: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> _Net:
    widths = (ctypes.c_int64 * (len(weights) + 1))(inputs.shape[1], *map(len, weights))
    arrays = (_addresses(weights), _addresses(biases))
    net = _Net(len(inputs), len(weights), ctypes.addressof(widths), inputs.data_ptr(), *map(ctypes.addressof, arrays))
    net.kept = (widths, *arrays)  # as long as the structure points to them
    return net


@torch.library.impl("avatar::relu_net", "cpu")
def _forward(inputs: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    outputs, net = _forward_fake(inputs, weights, biases), _net(inputs, weights, biases)
    call("relu_net", inputs.dtype, _Arguments(net, outputs.data_ptr()))
    return outputs


@torch.library.register_fake("avatar::relu_net")
def _forward_fake(inputs: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    del biases
    return inputs.new_empty(len(inputs), len(weights[-1]))


@torch.library.impl("avatar::relu_net_backward", "cpu")
def _backward(
    v_outputs: Tensor, inputs: Tensor, weights: list[Tensor], biases: list[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    gradients, net = _backward_fake(v_outputs, inputs, weights, biases), _net(inputs, weights, biases)
    arrays = [_addresses(tensors) for tensors in gradients[1:]]
    addresses = (v_outputs.data_ptr(), gradients[0].data_ptr(), *map(ctypes.addressof, arrays))
    call("relu_net_backward", inputs.dtype, _GradientArguments(net, *addresses))
    return gradients


@torch.library.register_fake("avatar::relu_net_backward")
def _backward_fake(
    v_outputs: Tensor, inputs: Tensor, weights: list[Tensor], biases: list[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    del v_outputs
    return torch.empty_like(inputs), [torch.empty_like(t) for t in weights], [torch.empty_like(t) for t in biases]


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    del output
    first, weights, biases = inputs
    ctx.num_layers = len(weights)
    ctx.save_for_backward(first, *weights, *biases)


@once_differentiable
def _gradients(ctx, v_outputs: Tensor) -> tuple[Tensor, ...]:
    first, *layers = ctx.saved_tensors
    inputs = (first, layers[: ctx.num_layers], layers[ctx.num_layers :])
    v_inputs, v_weights, v_biases = torch.ops.avatar.relu_net_backward(v_outputs.contiguous(), *inputs)
    return v_inputs, *v_weights, *v_biases


def _differentiate(ctx, v_outputs: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    v_inputs, *v_layers = _gradients(ctx, v_outputs)
    return v_inputs, v_layers[: ctx.num_layers], v_layers[ctx.num_layers :]


torch.library.register_autograd("avatar::relu_net", _differentiate, setup_context=_setup_context)
