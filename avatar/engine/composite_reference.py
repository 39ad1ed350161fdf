"""Volume rendering of packed samples in plain torch, for any device: the specification of the compiled version."""

import torch
from jaxtyping import Float
from torch import Tensor

from .packed import Composite, Packed, SampleWeights, sums_of


def weights_from_densities_reference(densities: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What ``weights_from_densities`` does."""
    check_samples(densities, None, packed)
    depths = densities * (packed.t_ends - packed.t_starts).detach()
    transmittances = _along_rays(torch.exp(-_before(_rows(depths, packed, 0).cumsum(1), 0)), packed)
    return SampleWeights(transmittances * -torch.expm1(-depths), transmittances)


def weights_from_alphas_reference(alphas: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What ``weights_from_alphas`` does."""
    check_samples(alphas, None, packed)
    transmittances = _along_rays(_before(_rows(1 - alphas, packed, 1).cumprod(1), 1), packed)
    return SampleWeights(transmittances * alphas, transmittances)


def accumulate_reference(weights: Float[Tensor, " s"], values: Float[Tensor, "s d"] | None, packed: Packed) -> Tensor:
    """What ``accumulate`` does."""
    check_samples(weights, values, packed)
    weighted = weights[:, None] if values is None else weights[:, None] * values
    return weighted.new_zeros(packed.num_rays, weighted.shape[1]).index_add(0, packed.ray_ids, weighted)


def composite_reference(densities: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """What ``composite`` does."""
    return sums_of(weights_from_densities_reference(densities, packed).weights, values, packed, accumulate_reference)


def composite_alphas_reference(alphas: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """What ``composite_alphas`` does."""
    return sums_of(weights_from_alphas_reference(alphas, packed).weights, values, packed, accumulate_reference)


def _places(packed: Packed) -> tuple[Tensor, Tensor]:
    """Row and column of every sample where each ray has a row of its own."""
    samples = torch.arange(len(packed.ray_ids), device=packed.ray_ids.device)
    return packed.ray_ids, samples - packed.starts[packed.ray_ids]


def _rows(samples: Tensor, packed: Packed, filling: int) -> Tensor:
    longest = int(packed.starts.diff().max()) if packed.num_rays else 0
    return samples.new_full((packed.num_rays, longest), filling).index_put(_places(packed), samples)


def _along_rays(rows: Tensor, packed: Packed) -> Tensor:
    return rows[_places(packed)]


def _before(running: Tensor, start: int) -> Tensor:
    """Of running sums or products along rows, those without the element itself."""
    return torch.cat([running.new_full((len(running), 1), start), running[:, :-1]], dim=1)[:, : running.shape[1]]


def check_samples(opacities: Tensor, values: Tensor | None, packed: Packed) -> None:
    """ValueError where shapes and dtypes of what samples have and of the samples do not fit."""
    s, dtype = len(opacities), opacities.dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"packed samples: expected float32 or float64, got {dtype}")
    named = {"opacities": opacities, "t_starts": packed.t_starts, "t_ends": packed.t_ends}
    for name, tensor in named.items():
        if tuple(tensor.shape) != (s,) or tensor.dtype != dtype:
            raise ValueError(
                f"packed samples: {name}: expected {dtype} ({s},), got {tensor.dtype} {tuple(tensor.shape)}"
            )
    if values is not None and (values.ndim != 2 or len(values) != s or values.dtype != dtype):
        found = f"{values.dtype} {tuple(values.shape)}"
        raise ValueError(f"packed samples: values: expected {dtype} ({s}, channels), got {found}")
    if packed.starts.ndim != 1 or not len(packed.starts) or packed.starts.dtype != torch.int64:
        found = f"{packed.starts.dtype} {tuple(packed.starts.shape)}"
        raise ValueError(f"packed samples: starts: expected int64 with one more than rays, got {found}")
    if tuple(packed.ray_ids.shape) != (s,):
        raise ValueError(f"packed samples: ray_ids: expected ({s},), got {tuple(packed.ray_ids.shape)}")
