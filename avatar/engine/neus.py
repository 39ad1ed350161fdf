"""Alphas of packed samples from signed distances, fused, and their plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, integers, is_compiled, numbers, pointers

EPSILON = 1e-5
"""Added to numerator and denominator, as the released code of NeuS does: far inside alpha is one, not 0 / 0."""

_INPUTS = "Tensor distances, Tensor cosines, Tensor lengths, Tensor sharpness, float cos_anneal"
torch.library.define("avatar::neus", f"({_INPUTS}) -> Tensor")
torch.library.define("avatar::neus_backward", f"(Tensor v_alphas, {_INPUTS}) -> (Tensor, Tensor, Tensor)")


class _Samples(ctypes.Structure):
    _fields_ = [*integers("count"), *numbers("cos_anneal"), *pointers("distances cosines lengths sharpness")]


class _Arguments(ctypes.Structure):
    _fields_ = [("samples", _Samples), *pointers("alphas")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("samples", _Samples), *pointers("alphas distances cosines sharpness")]


def neus_alphas(
    distances: Float[Tensor, " s"],
    cosines: Float[Tensor, " s"],
    lengths: Float[Tensor, " s"],
    sharpness: Float[Tensor, ""],
    cos_anneal: float = 1.0,
) -> Float[Tensor, " s"]:
    """How opaque every interval is whose middle has a signed distance (NeuS, Wang et al. 2021, eq. 13).

    The distance at both ends follows from its slope along the ray; with P and N the sigmoids of ``sharpness`` times it,
    where the interval begins and ends, alpha is ``(P - N) / P``, between 0 and 1.

    Args:
        distances: metres, positive outside.
        cosines: of ray direction and normal (the unit gradient of the distance): negative where the ray enters.
        lengths: of the intervals, metres; constant.
        sharpness: inverse standard deviation of the density, 1 / m (``inv_s``).
        cos_anneal: the slope is ``-relu(-cosine)`` at 1 and ``-(1 - cosine) / 2``, which lets gradients through where
            the ray leaves, at 0; between them a blend. The released code raises it from 0 to 1 as the fit goes.

    Differentiable once, with respect to distances, cosines and sharpness. ValueError where shapes or dtypes do not fit.
    """
    inputs = (distances, cosines, lengths, sharpness)
    _check(inputs, cos_anneal)
    if not is_compiled() or distances.device.type != "cpu":
        return neus_alphas_reference(*inputs, cos_anneal)
    return torch.ops.avatar.neus(
        *(t.contiguous() for t in (distances, cosines, lengths.detach(), sharpness)), cos_anneal
    )


def neus_alphas_reference(
    distances: Float[Tensor, " s"],
    cosines: Float[Tensor, " s"],
    lengths: Float[Tensor, " s"],
    sharpness: Float[Tensor, ""],
    cos_anneal: float = 1.0,
) -> Float[Tensor, " s"]:
    """The same in plain torch, for any device, differentiable as often as one likes."""
    _check((distances, cosines, lengths, sharpness), cos_anneal)
    slopes = -((0.5 - 0.5 * cosines).relu() * (1 - cos_anneal) + (-cosines).relu() * cos_anneal)
    half_changes = slopes * lengths.detach() * 0.5
    before = torch.sigmoid((distances - half_changes) * sharpness)
    behind = torch.sigmoid((distances + half_changes) * sharpness)
    return ((before - behind + EPSILON) / (before + EPSILON)).clamp(0, 1)


def _check(inputs: tuple[Tensor, ...], cos_anneal: float) -> None:
    shape, dtype = inputs[0].shape, inputs[0].dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"neus_alphas: distances: expected float32 or float64, got {dtype}")
    for name, tensor in zip(("distances", "cosines", "lengths", "sharpness"), inputs, strict=True):
        expected = () if name == "sharpness" else tuple(shape)
        if tuple(tensor.shape) != expected or tensor.dtype != dtype:
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise ValueError(f"neus_alphas: {name}: expected {dtype} {expected}, got {found}")
    if not 0 <= cos_anneal <= 1:
        raise ValueError(f"neus_alphas: cos_anneal: expected 0 to 1, got {cos_anneal}")


def _samples(*inputs) -> _Samples:
    *tensors, cos_anneal = inputs
    return _Samples(len(tensors[0]), cos_anneal, *(t.data_ptr() for t in tensors))


@torch.library.impl("avatar::neus", "cpu")
def _forward(*inputs) -> Tensor:
    alphas = _forward_fake(*inputs)
    call("neus", alphas.dtype, _Arguments(_samples(*inputs), alphas.data_ptr()))
    return alphas


@torch.library.register_fake("avatar::neus")
def _forward_fake(*inputs) -> Tensor:
    return torch.empty_like(inputs[0])


@torch.library.impl("avatar::neus_backward", "cpu")
def _backward(v_alphas: Tensor, *inputs) -> tuple[Tensor, ...]:
    gradients = _backward_fake(v_alphas, *inputs)
    addresses = (t.data_ptr() for t in (v_alphas, *gradients))
    call("neus_backward", v_alphas.dtype, _GradientArguments(_samples(*inputs), *addresses))
    return gradients


@torch.library.register_fake("avatar::neus_backward")
def _backward_fake(v_alphas: Tensor, *inputs) -> tuple[Tensor, ...]:
    del v_alphas
    return tuple(torch.empty_like(inputs[i]) for i in (0, 1, 3))


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs[:4])
    ctx.cos_anneal = inputs[4]


@once_differentiable
def _differentiate(ctx, v_alphas: Tensor) -> tuple:
    gradients = torch.ops.avatar.neus_backward(v_alphas.contiguous(), *ctx.saved_tensors, ctx.cos_anneal)
    return gradients[0], gradients[1], None, gradients[2], None


torch.library.register_autograd("avatar::neus", _differentiate, setup_context=_setup_context)
