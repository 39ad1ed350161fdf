"""How far a rendering is from a picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import ssim
from avatar.structs import Frame, Rendering


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms.

    Attributes:
        l1: mean absolute colour difference.
        dssim: one minus structural similarity.
        mask: mean absolute difference of coverage and foreground mask.
    """

    l1: float = 0.8
    dssim: float = 0.2
    mask: float = 0.1

    def __post_init__(self) -> None:
        for name in ("l1", "dssim", "mask"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"LossConfig.{name}: expected zero or more, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Losses:
    """The terms and their weighted sum."""

    l1: Float[Tensor, ""]
    dssim: Float[Tensor, ""]
    mask: Float[Tensor, ""]
    total: Float[Tensor, ""]


def compare(rendering: Rendering, frame: Frame, config: LossConfig) -> Losses:
    """Compare a rendering over black with a picture whose background is black. ValueError if their sizes differ."""
    if rendering.color.shape != frame.image.shape:
        raise ValueError(
            f"compare: expected a picture of {tuple(rendering.color.shape)}, got {tuple(frame.image.shape)}"
        )
    image, target = rendering.color.permute(2, 0, 1), frame.image.permute(2, 0, 1)
    l1 = (image - target).abs().mean()
    dssim = 1 - ssim(image, target) if config.dssim else torch.zeros_like(l1)
    mask = (rendering.alpha - frame.is_foreground.to(rendering.alpha)).abs().mean()
    return Losses(l1=l1, dssim=dssim, mask=mask, total=config.l1 * l1 + config.dssim * dssim + config.mask * mask)
