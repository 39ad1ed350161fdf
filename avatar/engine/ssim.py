"""Mean structural similarity with a fused gradient, and its plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, integers, is_compiled, pointers

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2

torch.library.define("avatar::ssim", "(Tensor image, Tensor target, bool wants_gradient) -> (Tensor, Tensor)")


class _Arguments(ctypes.Structure):
    _fields_ = [*pointers("x y gradient value"), *integers("height width channels")]


def ssim(image: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> Float[Tensor, ""]:
    """Mean structural similarity of two images (Wang et al. 2004): 11 x 11 Gaussian window, sigma 1.5, data range 1.

    Zeros surround the images, so that every pixel counts. Differentiable with respect to ``image`` only.

    Raises:
        ValueError: shapes or dtypes differ.
    """
    if image.shape != target.shape or image.dtype != target.dtype:
        raise ValueError(f"ssim: expected equal shapes and dtypes, got {image.shape} and {target.shape}")
    if not is_compiled() or image.device.type != "cpu":
        return ssim_reference(image, target)
    wants_gradient = torch.is_grad_enabled() and image.requires_grad
    return torch.ops.avatar.ssim(image.contiguous(), target.contiguous(), wants_gradient)[0]


def ssim_reference(image: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> Float[Tensor, ""]:
    """The same in plain torch, for any device."""
    offsets = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()

    def blur(x: Tensor) -> Tensor:
        x = torch.nn.functional.conv2d(x.movedim(-1, 0)[:, None], window.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
        return torch.nn.functional.conv2d(x, window.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))

    mean_x, mean_y = blur(image), blur(target)
    variance_x, variance_y = blur(image * image) - mean_x**2, blur(target * target) - mean_y**2
    covariance = blur(image * target) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * (2 * covariance + C2) / (variance_x + variance_y + C2)).mean()


@torch.library.impl("avatar::ssim", "cpu")
def _forward(image: Tensor, target: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor]:
    gradient = torch.empty_like(image) if wants_gradient else image.new_empty(0)
    value = torch.empty((), dtype=torch.float64)
    gradient_pointer = gradient.data_ptr() if wants_gradient else None
    arguments = _Arguments(image.data_ptr(), target.data_ptr(), gradient_pointer, value.data_ptr(), *image.shape)
    call("ssim", image.dtype, arguments)
    return value.to(image.dtype), gradient


@torch.library.register_fake("avatar::ssim")
def _forward_fake(image: Tensor, target: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor]:
    del target
    return image.new_empty(()), torch.empty_like(image) if wants_gradient else image.new_empty(0)


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    del inputs
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)  # an image of zeros for the second output


@once_differentiable
def _differentiate(ctx, v_value: Tensor | None, _gradient: Tensor | None) -> tuple:
    (gradient,) = ctx.saved_tensors
    return None if v_value is None else gradient * v_value, None, None


torch.library.register_autograd("avatar::ssim", _differentiate, setup_context=_setup_context)
