"""How far a rendering is from a picture."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from avatar.engine import image_errors
from avatar.structs import Frame, Rendering


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms.

    Attributes:
        l1: mean absolute colour difference, or what ``huber_delta`` makes of it.
        dssim: one minus structural similarity.
        mask: mean absolute difference of coverage and foreground mask.
        huber_delta: colour differences below it count by their square (Huber 1964); zero for none.
    """

    l1: float = 4.0
    dssim: float = 0.2
    mask: float = 0.1
    huber_delta: float = 0.3

    def __post_init__(self) -> None:
        for name in ("l1", "dssim", "mask", "huber_delta"):
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
    errors = image_errors(
        rendering.color,
        rendering.alpha,
        frame.image,
        frame.is_foreground,
        huber_delta=config.huber_delta,
        has_dssim=config.dssim > 0,
    )
    return Losses(
        l1=errors.color,
        dssim=errors.dssim,
        mask=errors.mask,
        total=config.l1 * errors.color + config.dssim * errors.dssim + config.mask * errors.mask,
    )
