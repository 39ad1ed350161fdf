"""Image losses beside their plain-torch specification."""

from collections.abc import Callable

import torch
from torch import Tensor

from avatar.engine import image_errors, image_errors_reference, ssim, ssim_reference

from .case import Case, Curve

SIZE_PX = 512
REFERENCE_ROUNDS = 2


def cases() -> list[Case]:
    """Structural similarity alone, and all terms of a training step, of three channels and with gradients."""
    scene = f"3x{SIZE_PX}²"
    return [
        Case(scene=f"SSIM {scene}", passes="both", run=_similarity(ssim, SIZE_PX), goal_ms=4, floor_ms=6),
        Case(
            scene=f"SSIM {scene}",
            passes="both",
            run=_similarity(ssim_reference, SIZE_PX),
            by="torch",
            rounds=REFERENCE_ROUNDS,
        ),
        Case(scene=f"L1 + SSIM + mask {scene}", passes="both", run=_errors(image_errors)),
        Case(
            scene=f"L1 + SSIM + mask {scene}",
            passes="both",
            run=_errors(image_errors_reference),
            by="torch",
            rounds=REFERENCE_ROUNDS,
        ),
    ]


def curves() -> list[Curve]:
    """Over pixels."""
    sizes = (128, 256, 512, 1024)
    points = [(px * px, Case(scene=f"SSIM {px}²", passes="both", run=_similarity(ssim, px))) for px in sizes]
    return [Curve(name="SSIM", along="pixels", points=points)]


def _pair(size_px: int) -> tuple[Tensor, Tensor]:
    image, target = torch.rand(2, size_px, size_px, 3, generator=torch.Generator().manual_seed(0))
    return image.requires_grad_(), target


def _similarity(function: Callable[[Tensor, Tensor], Tensor], size_px: int) -> Callable[[], object]:
    image, target = _pair(size_px)
    return lambda: torch.autograd.grad(function(image, target), image)


def _errors(function: Callable[..., tuple[Tensor, Tensor, Tensor]]) -> Callable[[], object]:
    color, target = _pair(SIZE_PX)
    alpha, is_foreground = torch.rand_like(target[..., 0]).requires_grad_(), target[..., 0] > 0.5

    def forward_and_backward() -> tuple[Tensor, ...]:
        errors = function(color, alpha, target, is_foreground)
        return torch.autograd.grad(0.8 * errors[0] + 0.2 * errors[1] + 0.1 * errors[2], (color, alpha))

    return forward_and_backward
