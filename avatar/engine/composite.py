"""Volume rendering of packed samples: weights along rays and their sums, compiled, with gradients.

Of the light that reaches sample i, T_i, the share alpha_i = 1 - exp(-density_i * length_i) is its weight, and the rest
reaches the next: w_i = T_i alpha_i, T_{i+1} = T_i (1 - alpha_i), T_0 = 1 (Max 1995; NeRF, Mildenhall et al. 2020, eq.
3). Weights and what is left after the last sample sum to one.

On the CPU the compiled kernels answer, the same for any number of threads; elsewhere the references. Gradients divide
by nothing, so that opaque samples (alpha of one, infinite density) are harmless. Intervals pass no gradient.
"""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .composite_reference import (
    accumulate_reference,
    check_samples,
    composite_alphas_reference,
    composite_reference,
    weights_from_alphas_reference,
    weights_from_densities_reference,
)
from .library import call, integers, is_compiled, pointers
from .packed import Composite, Packed, SampleWeights

DENSITIES, ALPHAS, WEIGHTS = range(3)
"""What is given of every sample, as ``csrc/composite.cpp`` counts them."""

_INPUTS = "Tensor opacities, Tensor values, Tensor t_starts, Tensor t_ends, Tensor starts, int given"
_OUTPUTS = "sums opacities depths weights transmittances"
torch.library.define("avatar::composite", f"({_INPUTS}, bool wants_transmittances) -> ({', '.join(['Tensor'] * 5)})")
_GRADIENTS = ", ".join(f"Tensor? v_{name}" for name in _OUTPUTS.split())
torch.library.define("avatar::composite_backward", f"({_GRADIENTS}, {_INPUTS}, bool wants_values) -> (Tensor, Tensor)")


class _Samples(ctypes.Structure):
    _fields_ = [
        *integers("num_rays num_samples num_channels given"),
        *pointers("opacities values t_starts t_ends starts"),
    ]


class _Arguments(ctypes.Structure):
    _fields_ = [("samples", _Samples), *pointers(_OUTPUTS)]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("samples", _Samples), *pointers(_OUTPUTS), *pointers("in_opacities in_values")]


def weights_from_densities(densities: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What every sample contributes to its ray, of densities per unit of t that are not negative.

    Differentiable with respect to densities. ValueError where shapes or dtypes do not fit.
    """
    if not _is_fast(densities, packed):
        return weights_from_densities_reference(densities, packed)
    return SampleWeights(*_composite(densities, None, packed, DENSITIES)[3:])


def weights_from_alphas(alphas: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What every sample contributes to its ray, of alphas in [0, 1].

    Differentiable with respect to alphas. ValueError where shapes or dtypes do not fit.
    """
    if not _is_fast(alphas, packed):
        return weights_from_alphas_reference(alphas, packed)
    return SampleWeights(*_composite(alphas, None, packed, ALPHAS)[3:])


def accumulate(weights: Float[Tensor, " s"], values: Float[Tensor, "s d"] | None, packed: Packed) -> Tensor:
    """Weighted sums of values along every ray, ``r d``; with None the sums of the weights (opacities), ``r 1``.

    Differentiable with respect to weights and values. ValueError where shapes or dtypes do not fit.
    """
    if not _is_fast(weights, packed):
        return accumulate_reference(weights, values, packed)
    sums, opacities = _composite(weights, values, packed, WEIGHTS)[:2]
    return opacities[:, None] if values is None else sums


def composite(densities: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """``weights_from_densities`` and ``accumulate`` in one pass, with opacities and depths.

    Differentiable with respect to densities and values, from all outputs. ValueError where shapes or dtypes do not fit.
    """
    if not _is_fast(densities, packed):
        return composite_reference(densities, values, packed)
    return Composite(*_composite(densities, values, packed, DENSITIES)[:4])


def composite_alphas(alphas: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """``weights_from_alphas`` and ``accumulate`` in one pass, with opacities and depths.

    Differentiable with respect to alphas and values, from all outputs. ValueError where shapes or dtypes do not fit.
    """
    if not _is_fast(alphas, packed):
        return composite_alphas_reference(alphas, values, packed)
    return Composite(*_composite(alphas, values, packed, ALPHAS)[:4])


def _is_fast(opacities: Tensor, packed: Packed) -> bool:
    return is_compiled() and opacities.device.type == packed.starts.device.type == "cpu"


def _composite(opacities: Tensor, values: Tensor | None, packed: Packed, given: int) -> tuple[Tensor, ...]:
    check_samples(opacities, values, packed)
    wants_transmittances = values is None and given != WEIGHTS
    values = opacities.new_empty(len(opacities), 0) if values is None else values
    tensors = (opacities, values, packed.t_starts.detach(), packed.t_ends.detach(), packed.starts)
    return torch.ops.avatar.composite(*(t.contiguous() for t in tensors), given, wants_transmittances)


def _samples(opacities: Tensor, values: Tensor, t_starts: Tensor, t_ends: Tensor, starts: Tensor, given: int):
    tensors = (opacities, values, t_starts, t_ends, starts)
    return _Samples(len(starts) - 1, *values.shape, given, *(t.data_ptr() for t in tensors))


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


@torch.library.impl("avatar::composite", "cpu")
def _forward(*inputs) -> tuple[Tensor, ...]:
    outputs = _forward_fake(*inputs)
    arguments = _Arguments(_samples(*inputs[:6]), *(t.data_ptr() if t.numel() else None for t in outputs))
    if call("composite", inputs[0].dtype, arguments) != 0:
        raise ValueError(f"composite: starts: expected rising numbers from 0 to {len(inputs[0])}, got {inputs[4]}")
    return outputs


@torch.library.register_fake("avatar::composite")
def _forward_fake(
    opacities: Tensor, values: Tensor, t_starts: Tensor, t_ends: Tensor, starts: Tensor, given: int, wants: bool
) -> tuple[Tensor, ...]:
    del t_starts, t_ends
    count, rays = len(opacities), len(starts) - 1
    sizes = ((rays, values.shape[1]), (rays,), (rays,), (count if given != WEIGHTS else 0,), (count if wants else 0,))
    return tuple(opacities.new_empty(size) for size in sizes)


@torch.library.impl("avatar::composite_backward", "cpu")
def _backward(*inputs) -> tuple[Tensor, Tensor]:
    v_outputs, samples, wants_values = inputs[:5], inputs[5:11], inputs[11]
    gradients = _backward_fake(*inputs)
    addresses = (*(_address(t) for t in (*v_outputs, gradients[0])), _address(gradients[1] if wants_values else None))
    if call("composite_backward", samples[0].dtype, _GradientArguments(_samples(*samples), *addresses)) != 0:
        raise ValueError("composite: starts: changed after the forward pass")
    return gradients


@torch.library.register_fake("avatar::composite_backward")
def _backward_fake(*inputs) -> tuple[Tensor, Tensor]:
    opacities, values, wants_values = inputs[5], inputs[6], inputs[11]
    return torch.empty_like(opacities), torch.empty_like(values) if wants_values else values.new_empty(0)


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    del output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:5])
    ctx.given = inputs[5]


@once_differentiable
def _differentiate(ctx, *v_outputs: Tensor | None) -> tuple:
    wants_values = ctx.needs_input_grad[1] and v_outputs[0] is not None
    v_outputs = tuple(None if t is None or not t.numel() else t.contiguous() for t in v_outputs)
    v_opacities, v_values = torch.ops.avatar.composite_backward(*v_outputs, *ctx.saved_tensors, ctx.given, wants_values)
    return v_opacities, v_values if wants_values else None, None, None, None, None, None


torch.library.register_autograd("avatar::composite", _differentiate, setup_context=_setup_context)
