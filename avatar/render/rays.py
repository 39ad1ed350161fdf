"""Rays of a camera, and what they see of a radiance field."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from avatar import engine
from avatar.engine import Composite, OccupancyGrid, Packed, Rays, SampleWeights
from avatar.engine.cuda import nerfacc
from avatar.geometry import unproject
from avatar.structs import Camera, RadianceField, RayColors, RaySamples, Rendering

from .backend import Backend, RenderConfig

SMALLEST_WEIGHT = 1e-4  # samples that count less are not asked for their colour
_CHUNK = 2**14  # rays rendered at once


class _Marcher(NamedTuple):
    """What a backend does with rays."""

    march: Callable[[Rays, OccupancyGrid, float, Tensor | None], Packed]
    weights: Callable[[Tensor, Packed], SampleWeights]
    composite: Callable[[Tensor, Tensor, Packed], Composite]


def _marcher(backend: Backend) -> _Marcher:
    match backend:
        case "cpu":
            return _Marcher(engine.march, engine.weights_from_alphas, engine.composite_alphas)
        case "torch":
            return _Marcher(
                engine.march_reference, engine.weights_from_alphas_reference, engine.composite_alphas_reference
            )
        case "cuda":
            return _Marcher(nerfacc.march, nerfacc.weights_from_alphas, nerfacc.composite_alphas)


def camera_rays(camera: Camera, pixels: Float[Tensor, "r 2"]) -> Rays:
    """World rays, with unit directions, through ``pixels`` (x, y), whose centres are at .5."""
    through = unproject(pixels, torch.ones_like(pixels[:, 0]), camera.intrinsics_px)
    directions = normalize(through @ camera.camera_from_world[:3, :3], dim=-1)
    return Rays(camera.centre_world.expand_as(directions), directions)


def pixel_centres(camera: Camera) -> Float[Tensor, "r 2"]:
    """All pixels of a camera, row by row."""
    like = camera.intrinsics_px
    rows, columns = (torch.arange(n, device=like.device, dtype=like.dtype) + 0.5 for n in (camera.height, camera.width))
    return torch.cartesian_prod(rows, columns).flip(1)


def render_rays(
    field: RadianceField,
    rays: Rays,
    jitter: Float[Tensor, " r"] | None = None,
    backend: Backend = "cpu",
    most_samples: int | None = None,
) -> RayColors:
    """What ``rays`` see of a field in their frame; ``jitter`` as in ``engine.march``.

    Every sample is asked what is there, and only those that count for their colour. With ``most_samples`` only the
    first rays are answered, as many as take no more samples together, and one at least.
    """
    marcher = _marcher(backend)
    packed = marcher.march(rays, field.grid, field.step_m, jitter)
    if most_samples is not None:
        packed = _first_rays(packed, most_samples)
    directions = rays.directions[packed.ray_ids]
    shape = field.shape(
        RaySamples(
            points=rays.origins[packed.ray_ids] + packed.middles[:, None] * directions,
            directions=directions,
            lengths=packed.t_ends - packed.t_starts,
        )
    )
    counts = marcher.weights(shape.alphas.detach(), packed).weights > SMALLEST_WEIGHT
    colors = torch.zeros_like(shape.gradients)
    colors = colors.index_put((counts.nonzero()[:, 0],), field.radiance(shape.keep(counts)))
    found = marcher.composite(shape.alphas, colors, packed)
    return RayColors(color=found.values, alpha=found.opacities, depth=found.depths, shape=shape)


def _first_rays(packed: Packed, most_samples: int) -> Packed:
    """Those of the first rays that have no more samples together."""
    num_rays = max(1, int(torch.searchsorted(packed.starts, most_samples, right=True)) - 1)
    starts = packed.starts[: num_rays + 1]
    count = int(starts[-1])
    return Packed(packed.t_starts[:count], packed.t_ends[:count], packed.ray_ids[:count], starts)


@torch.no_grad()
def render_field(field: RadianceField, camera: Camera, config: RenderConfig) -> Rendering:
    """What ``camera`` sees of a field (world metres). No gradient passes: ``render_rays`` is for that."""
    rays = camera_rays(camera, pixel_centres(camera))
    parts = [
        render_rays(field, Rays(*chunk), backend=config.backend)
        for chunk in zip(rays.origins.split(_CHUNK), rays.directions.split(_CHUNK), strict=True)
    ]
    color, alpha, depth = (torch.cat([getattr(part, name) for part in parts]) for name in ("color", "alpha", "depth"))
    color = color + (1 - alpha)[:, None] * color.new_tensor(config.background)
    size = (camera.height, camera.width)
    return Rendering(
        color=color.view(*size, 3),
        alpha=alpha.view(size),
        depth=(depth * (rays.directions @ camera.camera_from_world[2, :3])).view(size) if config.depth else None,
    )
