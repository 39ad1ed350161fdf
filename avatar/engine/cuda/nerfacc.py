"""Marching and compositing of packed samples on CUDA through nerfacc 0.5.3 (Li et al. 2023).

Signatures, meaning and gradients are those of ``avatar.engine``; float32 on a CUDA device only, ValueError for others,
ImportError with what to install where nerfacc cannot be had. Sums along rays run in no fixed order: their last digits
differ from run to run. ``neus_alphas`` and densities need nothing more than torch there.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..composite_reference import (
    check_samples,
    weights_from_alphas_reference,
    weights_from_densities_reference,
)
from ..march import MAX_STEPS, TOO_MANY_STEPS, OccupancyGrid, Rays, check_march, march_reference, planes_of, spans_in
from ..packed import Composite, Packed, SampleWeights, sums_of
from .extras import extra

LARGEST_ALPHA = 1 - 2**-24
"""The largest float32 below one. At one itself nerfacc's gradient leaves out all that lies behind."""


@torch.no_grad()
def march(
    rays: Rays,
    grid: OccupancyGrid,
    step: float,
    jitter: Float[Tensor, " r"] | None = None,
    max_samples: int | None = None,
) -> Packed:
    """What ``avatar.engine.march`` does.

    The kernel adds steps up one by one in float32, so edges differ in the last digits, by more the more steps there
    are, and with them, rarely, whether a sample whose middle lies near the face of a cell belongs. It does not see
    boxes wholly behind the origin, which only a negative ``near`` could reach.
    """
    check_march(rays, grid, step, jitter, max_samples)
    _check_tensor("march", "origins", rays.origins)
    if len(rays.origins) == 0 or max_samples == 0:  # nerfacc launches no blocks, or takes it for no limit
        return march_reference(rays, grid, step, jitter, max_samples)
    near, far = planes_of(rays)
    near = near if jitter is None else near + jitter * step
    begins, ends = spans_in(rays, grid.box)
    is_hit = (begins < ends) & near.isfinite()
    if not bool((torch.maximum(ends, near.abs()).where(is_hit, 0) < MAX_STEPS * step).all()):
        raise ValueError(TOO_MANY_STEPS.format(step))
    # With what is no number the kernel would never end: rays without samples look away from the box instead.
    away = grid.box[1] + (grid.box[1] - grid.box[0])
    intervals, samples, _ = extra("nerfacc").traverse_grids(
        rays.origins.where(is_hit[:, None], away),
        rays.directions.where(is_hit[:, None], 1),
        (grid.occupied != 0)[None],
        grid.box.reshape(1, 6),
        near_planes=near.where(is_hit, 0),
        far_planes=far.where(is_hit, 0),
        step_size=step,
        traverse_steps_limit=max_samples,
    )
    counts = samples.packed_info[:, 1]
    return Packed(
        t_starts=intervals.vals[intervals.is_left],
        t_ends=intervals.vals[intervals.is_right],
        ray_ids=samples.ray_indices,
        starts=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
    )


def weights_from_densities(densities: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What ``avatar.engine.weights_from_densities`` does; alphas below 6e-8 are lost to float32's ``1 - exp(-x)``."""
    check_samples(densities, None, packed)
    _check_tensor("weights_from_densities", "densities", densities)
    if not len(densities):
        return weights_from_densities_reference(densities, packed)
    weights, transmittances, _ = extra("nerfacc").render_weight_from_density(
        packed.t_starts.detach(), packed.t_ends.detach(), densities, packed_info=packed.packed_info
    )
    return SampleWeights(weights, transmittances)


def weights_from_alphas(alphas: Float[Tensor, " s"], packed: Packed) -> SampleWeights:
    """What ``avatar.engine.weights_from_alphas`` does; alphas of one count as the largest number below."""
    check_samples(alphas, None, packed)
    _check_tensor("weights_from_alphas", "alphas", alphas)
    if not len(alphas):
        return weights_from_alphas_reference(alphas, packed)
    lowered = alphas - (alphas - LARGEST_ALPHA).relu().detach()
    return SampleWeights(*extra("nerfacc").render_weight_from_alpha(lowered, packed_info=packed.packed_info))


def accumulate(weights: Float[Tensor, " s"], values: Float[Tensor, "s d"] | None, packed: Packed) -> Tensor:
    """What ``avatar.engine.accumulate`` does."""
    check_samples(weights, values, packed)
    _check_tensor("accumulate", "weights", weights)
    return extra("nerfacc").accumulate_along_rays(weights, values, packed.ray_ids, packed.num_rays)


def composite(densities: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """What ``avatar.engine.composite`` does."""
    return sums_of(weights_from_densities(densities, packed).weights, values, packed, accumulate)


def composite_alphas(alphas: Float[Tensor, " s"], values: Float[Tensor, "s d"], packed: Packed) -> Composite:
    """What ``avatar.engine.composite_alphas`` does."""
    return sums_of(weights_from_alphas(alphas, packed).weights, values, packed, accumulate)


def _check_tensor(function: str, name: str, tensor: Tensor) -> None:
    if tensor.device.type != "cuda" or tensor.dtype != torch.float32:
        raise ValueError(
            f"{function}: {name}: expected float32 on a CUDA device, got {tensor.dtype} on {tensor.device}"
        )
