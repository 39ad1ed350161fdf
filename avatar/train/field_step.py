"""One look of a radiance field at pixels: the loss that fits and meta-learning descend."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.losses import RayLossConfig, compare_rays
from avatar.model import FieldAvatar
from avatar.render import Device, render_rays
from avatar.structs import RadianceField

from .pixels import Batch, Pixels
from .proxies import Proxies
from .run import psnr_of


@dataclass(frozen=True, kw_only=True)
class FieldStepConfig:
    """What a step looks at.

    Attributes:
        num_samples: how often the field is asked at most; rays are as many as that allows.
        most_rays: no more of them, of all cameras together.
        near_share: of them on the person and its rim.
        background: what person and pictures are shown before: another colour each step, or one sRGB for all.
        losses: what the pictures ask for.
    """

    num_samples: int = 16_384
    most_rays: int = 8192
    near_share: float = 0.7
    background: Literal["random"] | tuple[float, float, float] = (0.0, 0.0, 0.0)
    losses: RayLossConfig = field(default_factory=RayLossConfig)

    def __post_init__(self) -> None:
        for name in ("num_samples", "most_rays"):
            if getattr(self, name) < 1:
                raise ValueError(f"FieldStepConfig.{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.near_share <= 1:
            raise ValueError(f"FieldStepConfig.near_share: expected 0 to 1, got {self.near_share}")
        if self.background != "random" and not all(0 <= value <= 1 for value in self.background):
            raise ValueError(f"FieldStepConfig.background: expected sRGB in [0, 1], got {self.background}")


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldLook:
    """What came of it.

    Attributes:
        loss: to descend.
        psnr: of the pixels looked at, dB.
        num_samples: how often the field was asked.
    """

    loss: Float[Tensor, ""]
    psnr: float
    num_samples: int


def look(
    avatar: FieldAvatar,
    pixels: Pixels,
    config: FieldStepConfig,
    generator: torch.Generator,
    device: Device = "cpu",
    proxies: Proxies | None = None,
) -> FieldLook:
    """Rays through some of the pixels, and of the ``proxies``, and how far what they see is from the pictures."""
    codes = avatar.deform.code
    with codes.forgetting(generator) if codes else nullcontext():
        scene = avatar.posed(pixels.pose.to(device))
    found = _look(scene, pixels, config, generator, device)
    loss = found.loss + avatar.correction_cost()
    if proxies is not None:
        unseen = _look(avatar.canonical(), proxies.pixels, _for_proxies(config, proxies), generator, device)
        found, loss = replace(found, num_samples=found.num_samples + unseen.num_samples), loss + unseen.loss
    return replace(found, loss=loss)


def _look(
    scene: RadianceField, pixels: Pixels, config: FieldStepConfig, generator: torch.Generator, device: Device
) -> FieldLook:
    batch = pixels.draw(config.most_rays, config.near_share, generator)
    jitter = torch.rand(config.most_rays, generator=generator)
    drawn = torch.rand(3, generator=generator)
    background = drawn if config.background == "random" else torch.tensor(config.background)
    batch, jitter, background = _moved(batch, device), jitter.to(device), background.to(device)
    seen = render_rays(scene, batch.rays, jitter, device, config.num_samples)
    colors, is_foreground = batch.colors[: len(seen.alpha)], batch.is_foreground[: len(seen.alpha)]
    losses = compare_rays(seen, colors, is_foreground, background, config.losses)
    errors = (seen.color.detach() - colors.where(is_foreground[:, None], 0)).square().mean()
    return FieldLook(
        loss=losses.total,
        psnr=psnr_of(errors),
        num_samples=len(seen.shape.distances),
    )


def _for_proxies(config: FieldStepConfig, proxies: Proxies) -> FieldStepConfig:
    """Rays and shape terms in proportion to what is not seen; every ray is one that counts."""
    losses, share = config.losses, proxies.share
    return replace(
        config,
        num_samples=max(1, round(config.num_samples * proxies.samples)),
        near_share=1.0,
        losses=replace(
            losses, mask=share * losses.mask, eikonal=share * losses.eikonal, sparsity=share * losses.sparsity
        ),
    )


def _moved(batch: Batch, device: Device) -> Batch:
    if device == "cpu":
        return batch
    rays = batch.rays._replace(origins=batch.rays.origins.to(device), directions=batch.rays.directions.to(device))
    return Batch(rays, batch.colors.to(device), batch.is_foreground.to(device))
