"""Samples of many rays in one row, ray after ray."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Packed(NamedTuple):
    """Intervals along rays, of every ray as many as it needs; t is counted in lengths of the ray's direction.

    Attributes:
        t_starts, t_ends: where every interval begins and ends; from near to far along each ray.
        ray_ids: the ray of every sample, int64 (nerfacc's ``ray_indices``).
        starts: the first sample of every ray, then their number.
    """

    t_starts: Float[Tensor, " s"]
    t_ends: Float[Tensor, " s"]
    ray_ids: Int[Tensor, " s"]
    starts: Int[Tensor, " r_plus_1"]

    @property
    def num_rays(self) -> int:
        """How many rays there are, those without samples included."""
        return len(self.starts) - 1

    @property
    def middles(self) -> Float[Tensor, " s"]:
        """The middle of every interval, where a field is asked."""
        return (self.t_starts + self.t_ends) * 0.5

    @property
    def packed_info(self) -> Int[Tensor, "r 2"]:
        """First sample and number of samples of every ray, as nerfacc has them."""
        return torch.stack([self.starts[:-1], self.starts.diff()], dim=1)

    def keep(self, is_kept: Bool[Tensor, " s"]) -> "Packed":
        """Only some of the samples: those that a cheap first look at the field found visible, say."""
        before = torch.cat([self.starts.new_zeros(1), is_kept.cumsum(0)])
        return Packed(*(x[is_kept] for x in self[:3]), starts=before[self.starts])


class SampleWeights(NamedTuple):
    """What every sample contributes to its ray, and the share of light that reaches it."""

    weights: Float[Tensor, " s"]
    transmittances: Float[Tensor, " s"]


class Composite(NamedTuple):
    """Sums along rays, zero for rays without samples.

    Attributes:
        values: weighted sums of the values, over black: ``values + (1 - opacities[:, None]) * background``.
        opacities: sums of the weights.
        depths: weighted sums of the middles; over opacities they are the expected depth.
        weights: of every sample.
    """

    values: Float[Tensor, "r d"]
    opacities: Float[Tensor, " r"]
    depths: Float[Tensor, " r"]
    weights: Float[Tensor, " s"]


def sums_of(weights: Tensor, values: Tensor, packed: Packed, accumulate: Callable[..., Tensor]) -> Composite:
    """Sums along rays of weighted values, of the weights and of the middles, by a function like ``accumulate``."""
    return Composite(
        values=accumulate(weights, values, packed),
        opacities=accumulate(weights, None, packed)[:, 0],
        depths=accumulate(weights, packed.middles.detach()[:, None], packed)[:, 0],
        weights=weights,
    )
