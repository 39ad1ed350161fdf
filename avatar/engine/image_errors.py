"""Mean errors between a rendering and a picture with one fused gradient, and their plain-torch specification."""

import ctypes
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, integers, is_compiled, numbers, pointers
from .ssim import ssim_reference

_NEXT_TO_ZERO = 1e-30  # the Huber loss of such a delta is the absolute difference
_INPUTS = "Tensor color, Tensor alpha, Tensor target, Tensor is_foreground, float huber_delta"
torch.library.define(
    "avatar::image_errors", f"({_INPUTS}, bool has_dssim, bool wants_gradient) -> (Tensor, Tensor, Tensor, Tensor)"
)
torch.library.define(
    "avatar::image_errors_backward",
    f"(Tensor v_color, Tensor v_dssim, Tensor v_mask, Tensor ssim_gradient, {_INPUTS}) -> (Tensor, Tensor)",
)


class _Pair(ctypes.Structure):
    _fields_ = [
        *pointers("color alpha target is_foreground"),
        *integers("pixels channels"),
        *numbers("huber_delta"),
    ]


class _Arguments(ctypes.Structure):
    _fields_ = [("images", _Pair), *pointers("means")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("images", _Pair), *pointers("v_color v_dssim v_mask ssim_gradient color alpha")]


class ImageErrors(NamedTuple):
    """How far a rendering is from a picture; each is zero for equal ones.

    Attributes:
        color: mean absolute difference of colour, or mean Huber loss.
        dssim: one minus the mean structural similarity; zero where it was not asked for.
        mask: mean absolute difference of coverage and foreground.
    """

    color: Float[Tensor, ""]
    dssim: Float[Tensor, ""]
    mask: Float[Tensor, ""]


def image_errors(
    color: Float[Tensor, "h w c"],
    alpha: Float[Tensor, "h w"],
    target: Float[Tensor, "h w c"],
    is_foreground: Bool[Tensor, "h w"],
    *,
    huber_delta: float = 0.0,
    has_dssim: bool = True,
) -> ImageErrors:
    """Errors of a rendering, its colour in [0, 1] and coverage, against a picture and its mask.

    Args:
        color: the rendering.
        alpha: its coverage.
        target: the picture.
        is_foreground: true where the person is.
        huber_delta: below it a difference ``d`` counts ``d^2 / (2 delta)``, above it ``d - delta / 2`` (Huber 1964).
        has_dssim: whether to compute ``dssim``, most of the work; it is that of ``ssim``.

    Differentiable with respect to color and alpha. Raises ValueError when shapes or dtypes do not fit.
    """
    _check(color, alpha, target, is_foreground)
    if not is_compiled() or color.device.type != "cpu":
        return image_errors_reference(color, alpha, target, is_foreground, huber_delta=huber_delta, has_dssim=has_dssim)
    wants_gradient = torch.is_grad_enabled() and color.requires_grad
    tensors = [t.contiguous() for t in (color, alpha, target, is_foreground)]
    return ImageErrors(*torch.ops.avatar.image_errors(*tensors, huber_delta, has_dssim, wants_gradient)[:3])


def image_errors_reference(
    color: Float[Tensor, "h w c"],
    alpha: Float[Tensor, "h w"],
    target: Float[Tensor, "h w c"],
    is_foreground: Bool[Tensor, "h w"],
    *,
    huber_delta: float = 0.0,
    has_dssim: bool = True,
) -> ImageErrors:
    """The same in plain torch, for any device."""
    return ImageErrors(
        color=torch.nn.functional.smooth_l1_loss(color, target, beta=huber_delta),
        dssim=1 - ssim_reference(color, target) if has_dssim else color.new_zeros(()),
        mask=(alpha - is_foreground.to(alpha)).abs().mean(),
    )


def _check(color: Tensor, alpha: Tensor, target: Tensor, is_foreground: Tensor) -> None:
    for name, tensor, shape, dtype in (
        ("alpha", alpha, color.shape[:2], color.dtype),
        ("target", target, color.shape, color.dtype),
        ("is_foreground", is_foreground, color.shape[:2], torch.bool),
    ):
        if tensor.shape != shape:
            raise ValueError(f"image_errors: {name}: expected shape {tuple(shape)}, got {tuple(tensor.shape)}")
        if tensor.dtype != dtype:
            raise ValueError(f"image_errors: {name}: expected {dtype}, got {tensor.dtype}")


def _pair(color: Tensor, alpha: Tensor, target: Tensor, is_foreground: Tensor, huber_delta: float) -> _Pair:
    addresses = (t.data_ptr() for t in (color, alpha, target, is_foreground))
    return _Pair(*addresses, alpha.numel(), color.shape[2], max(huber_delta, _NEXT_TO_ZERO))


@torch.library.impl("avatar::image_errors", "cpu")
def _forward(color: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    *pair, has_dssim, wants_gradient = rest
    means = (ctypes.c_double * 2)()
    call("image_errors", color.dtype, _Arguments(_pair(color, *pair), ctypes.addressof(means)))
    similarity, gradient = color.new_ones(()), color.new_empty(0)
    if has_dssim:
        similarity, gradient = torch.ops.avatar.ssim(color, pair[1], wants_gradient)
    return color.new_tensor(means[0]), 1 - similarity, color.new_tensor(means[1]), gradient


@torch.library.register_fake("avatar::image_errors")
def _forward_fake(color: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    *_, has_dssim, wants_gradient = rest
    gradient = torch.empty_like(color) if has_dssim and wants_gradient else color.new_empty(0)
    return color.new_empty(()), color.new_empty(()), color.new_empty(()), gradient


@torch.library.impl("avatar::image_errors_backward", "cpu")
def _backward(*inputs: Any) -> tuple[Tensor, Tensor]:
    *gradients, color, alpha, target, is_foreground, huber_delta = inputs
    v_color, v_alpha = torch.empty_like(color), torch.empty_like(alpha)
    addresses = (t.data_ptr() for t in (*gradients, v_color, v_alpha))
    pair = _pair(color, alpha, target, is_foreground, huber_delta)
    call("image_errors_backward", color.dtype, _GradientArguments(pair, *addresses))
    return v_color, v_alpha


@torch.library.register_fake("avatar::image_errors_backward")
def _backward_fake(*inputs: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(inputs[4]), torch.empty_like(inputs[5])


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(output[3], *inputs[:4])
    ctx.huber_delta = inputs[4]
    ctx.set_materialize_grads(False)  # an image of zeros for the last output
    ctx.mark_non_differentiable(output[3])


@once_differentiable
def _differentiate(ctx, *v_outputs: Tensor | None) -> tuple:
    ssim_gradient, *images = ctx.saved_tensors
    v_errors = [images[0].new_zeros(()) if v is None else v for v in v_outputs[:3]]
    v_image, v_alpha = torch.ops.avatar.image_errors_backward(*v_errors, ssim_gradient, *images, ctx.huber_delta)
    return v_image, v_alpha, None, None, None, None, None


torch.library.register_autograd("avatar::image_errors", _differentiate, setup_context=_setup_context)
