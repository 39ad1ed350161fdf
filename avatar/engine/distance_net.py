"""The net of a distance field and the slopes of the distance, in one pass, and their plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, check_tensors, integers, is_compiled, numbers, pointers

_INPUTS = "Tensor inputs, Tensor w1, Tensor b1, Tensor w2, Tensor b2, float beta"
torch.library.define("avatar::distance_net", f"({_INPUTS}) -> (Tensor, Tensor)")
torch.library.define(
    "avatar::distance_net_backward",
    f"(Tensor v_outputs, Tensor v_slopes, {_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)


def distance_net(
    inputs: Float[Tensor, "n i"],
    w1: Float[Tensor, "h i"],
    b1: Float[Tensor, " h"],
    w2: Float[Tensor, "o h"],
    b2: Float[Tensor, " o"],
    beta: float,
) -> tuple[Float[Tensor, "n o"], Float[Tensor, "n i"]]:
    """A net with one hidden layer, and the gradient of its first output by its inputs.

    Args:
        inputs: of each sample.
        w1, b1: of the hidden layer, which ends in the softplus ``log(1 + exp(beta z)) / beta``.
        w2, b2: of the linear layer after it.
        beta: sharpness of the softplus; the larger, the nearer it is to a rectifier.

    Returns:
        The outputs, and the gradient of the first of them, the distance, by the inputs.

    Differentiable once with respect to all tensors, through the gradient as well: in plain torch that takes a second
    backward pass. Raises ValueError when shapes or dtypes do not fit, or for a ``beta`` that is not positive.
    """
    tensors = (inputs, w1, b1, w2, b2)
    check_distance_net(*tensors, beta)
    if not is_compiled() or inputs.device.type != "cpu":
        return distance_net_reference(*tensors, beta)
    return torch.ops.avatar.distance_net(*(t.contiguous() for t in tensors), beta)


def distance_net_reference(
    inputs: Float[Tensor, "n i"],
    w1: Float[Tensor, "h i"],
    b1: Float[Tensor, " h"],
    w2: Float[Tensor, "o h"],
    b2: Float[Tensor, " o"],
    beta: float,
) -> tuple[Float[Tensor, "n o"], Float[Tensor, "n i"]]:
    """The same in plain torch, for any device; differentiable as often as one likes."""
    check_distance_net(inputs, w1, b1, w2, b2, beta)
    sharpened = beta * (inputs @ w1.mT + b1)
    hidden = torch.logaddexp(sharpened, torch.zeros_like(sharpened)) / beta
    return hidden @ w2.mT + b2, (sharpened.sigmoid() * w2[0]) @ w1


def check_distance_net(inputs: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, beta: float) -> None:
    """ValueError that names what does not fit."""
    i, h, o = inputs.shape[-1], w1.shape[0], w2.shape[0]
    named = {
        "inputs": (inputs, (len(inputs), i)),
        "w1": (w1, (h, i)),
        "b1": (b1, (h,)),
        "w2": (w2, (o, h)),
        "b2": (b2, (o,)),
    }
    check_tensors("distance_net", named, inputs.dtype)
    if min(i, h, o) < 1:
        raise ValueError(f"distance_net: expected layers of at least one unit, got {i}, {h}, {o}")
    if not beta > 0:
        raise ValueError(f"distance_net: beta: expected a positive number, got {beta}")


class _Net(ctypes.Structure):
    _fields_ = [
        *integers("num_samples num_inputs num_hidden num_outputs"),
        *numbers("beta"),
        *pointers("inputs w1 b1 w2 b2"),
    ]


class DistanceNetArguments(ctypes.Structure):
    """Of the kernel ``distance_net``."""

    _fields_ = [("net", _Net), *pointers("outputs slopes")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("net", _Net), *pointers("out_outputs out_slopes inputs w1 b1 w2 b2")]


def distance_net_structure(
    inputs: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, beta: float
) -> ctypes.Structure:
    """Inputs, layers and sharpness as kernels take them."""
    sizes = (*inputs.shape, len(w1), len(w2))
    return _Net(*sizes, beta, *(t.data_ptr() for t in (inputs, w1, b1, w2, b2)))


@torch.library.impl("avatar::distance_net", "cpu")
def _forward(*inputs) -> tuple[Tensor, Tensor]:
    results = _forward_fake(*inputs)
    call(
        "distance_net",
        inputs[0].dtype,
        DistanceNetArguments(distance_net_structure(*inputs), *(t.data_ptr() for t in results)),
    )
    return results


@torch.library.register_fake("avatar::distance_net")
def _forward_fake(inputs: Tensor, *layers) -> tuple[Tensor, Tensor]:
    return inputs.new_empty(len(inputs), layers[2].shape[0]), torch.empty_like(inputs)


@torch.library.impl("avatar::distance_net_backward", "cpu")
def _backward(v_outputs: Tensor, v_slopes: Tensor, *inputs) -> tuple[Tensor, ...]:
    gradients = _backward_fake(v_outputs, v_slopes, *inputs)
    addresses = (t.data_ptr() for t in (v_outputs, v_slopes, *gradients))
    call("distance_net_backward", v_outputs.dtype, _GradientArguments(distance_net_structure(*inputs), *addresses))
    return gradients


@torch.library.register_fake("avatar::distance_net_backward")
def _backward_fake(v_outputs: Tensor, v_slopes: Tensor, *inputs) -> tuple[Tensor, ...]:
    del v_outputs, v_slopes
    return tuple(torch.empty_like(t) for t in inputs[:-1])


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    del output
    *tensors, ctx.beta = inputs
    ctx.save_for_backward(*tensors)


@once_differentiable
def _differentiate(ctx, v_outputs: Tensor, v_slopes: Tensor) -> tuple:
    above = (v_outputs.contiguous(), v_slopes.contiguous())
    return *torch.ops.avatar.distance_net_backward(*above, *ctx.saved_tensors, ctx.beta), None


torch.library.register_autograd("avatar::distance_net", _differentiate, setup_context=_setup_context)
