"""How far rays through a radiance field are from a picture, and how good a distance field it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import huber_loss

from avatar.structs import RayColors

_MOST_CERTAIN = 1e-3  # coverage closer to 0 and 1 costs no more


@dataclass(frozen=True, kw_only=True)
class RayLossConfig:
    """Weights of the terms (MetaCap, Sun et al. 2024).

    Attributes:
        color: Huber loss of sRGB over the rays that meet anything.
        huber_delta: colour differences below it count by their square.
        mask: cross-entropy of coverage and foreground mask, over all rays.
        eikonal: squared deviation of the distances' slope from 1, in the world, over all samples.
        sparsity: ``exp(-|distance|)``, which keeps surfaces away from where nothing is seen.
    """

    color: float = 10.0
    huber_delta: float = 0.1
    mask: float = 0.1
    eikonal: float = 0.1
    sparsity: float = 0.01

    def __post_init__(self) -> None:
        for name in ("color", "mask", "eikonal", "sparsity"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"RayLossConfig.{name}: expected zero or more, got {getattr(self, name)}")
        if not self.huber_delta > 0:
            raise ValueError(f"RayLossConfig.huber_delta: expected a positive number, got {self.huber_delta}")


@dataclass(frozen=True, kw_only=True, eq=False)
class RayLosses:
    """The terms and their weighted sum."""

    color: Float[Tensor, ""]
    mask: Float[Tensor, ""]
    eikonal: Float[Tensor, ""]
    sparsity: Float[Tensor, ""]
    total: Float[Tensor, ""]


def compare_rays(
    seen: RayColors,
    colors: Float[Tensor, "r 3"],
    is_foreground: Bool[Tensor, " r"],
    background: Float[Tensor, "3"],
    config: RayLossConfig,
) -> RayLosses:
    """Compare what rays see with ``colors`` of a picture, sRGB over black, both before the same ``background``."""
    rendered = seen.color + (1 - seen.alpha)[:, None] * background
    wanted = torch.where(is_foreground[:, None], colors, background)
    meets = (seen.alpha > 0).to(rendered)
    errors = huber_loss(rendered, wanted, reduction="none", delta=config.huber_delta).mean(1)
    coverage = seen.alpha.clamp(_MOST_CERTAIN, 1 - _MOST_CERTAIN)
    shape, nothing = seen.shape, seen.alpha.sum() * 0
    has_samples = len(shape.distances) > 0
    terms = {
        "color": (errors * meets).sum() / meets.sum().clamp_min(1),
        "mask": -torch.where(is_foreground, coverage, 1 - coverage).log().mean() if len(coverage) else nothing,
        "eikonal": (shape.gradients.norm(dim=-1) - 1).square().mean() if has_samples else nothing,
        "sparsity": torch.exp(-shape.distances.abs()).mean() if has_samples else nothing,
    }
    total = sum((getattr(config, name) * term for name, term in terms.items()), nothing)
    return RayLosses(**terms, total=total)
