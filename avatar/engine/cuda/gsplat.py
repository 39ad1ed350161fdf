"""``rasterize`` on CUDA through gsplat 1.5.3, stage by stage, so that image-plane offsets can enter between them."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import matrices_from_quats, normalize_quats

from ..rasterize_reference import OPACITY_MAX, rasterize_reference
from ..views import RasterizeOptions, Renders, Splats, Views, check_inputs
from .extras import extra

TILE_PX, CHANNELS_AT_ONCE = 16, 32


class _Projected(NamedTuple):
    """Gaussians on the image planes. Where radii are zero the rest is whatever memory held, and nobody reads it."""

    radii: Int[Tensor, "c n 2"]
    means: Float[Tensor, "c n 2"]
    depths: Float[Tensor, "c n"]
    conics: Float[Tensor, "c n 3"]
    opacities: Float[Tensor, "c n"]


def load() -> ModuleType:
    """gsplat with its kernels compiled, which takes minutes the first time. ImportError says what to install."""
    return extra("gsplat")


def rasterize(splats: Splats, views: Views, options: RasterizeOptions | None = None) -> Renders:
    """Render Gaussians into every view; same meaning, arguments and gradients as ``avatar.engine.rasterize``.

    float32 only. ``means2d_offsets_px`` move what the cameras see, not what they cull: zeros, whose gradient one reads,
    mean the same everywhere. Sums run in no fixed order: gradients differ from run to run in the last digits.

    Raises:
        ValueError: shapes or dtypes do not fit, or tensors are not on a CUDA device.
        ImportError: gsplat cannot be had here; says what to install.
    """
    options = options or RasterizeOptions()
    check_inputs(splats, views, options)
    _check_tensors(splats.means)
    if len(splats.means) == 0:  # gsplat divides by their number
        return rasterize_reference(splats, views, options)
    gsplat = load()
    gaussians = _project(gsplat, splats, views, options)
    channels = _channels(gsplat, splats, views, gaussians)
    backgrounds = views.backgrounds
    if options.depth != "none":
        channels = torch.cat([channels, gaussians.depths[..., None]], -1)
        backgrounds = None if backgrounds is None else torch.nn.functional.pad(backgrounds, (0, 1))
    colors, alphas = _blend(gsplat, gaussians, channels, backgrounds, views)
    if options.depth == "expected":
        colors = torch.cat([colors[..., :-1], colors[..., -1:] / alphas[..., None].clamp(min=1e-10)], -1)
    return Renders(colors, alphas, gaussians.radii)


def _check_tensors(means: Tensor) -> None:
    if means.device.type != "cuda" or means.dtype != torch.float32:
        raise ValueError(f"rasterize: means: expected float32 on a CUDA device, got {means.dtype} on {means.device}")


def _project(gsplat: ModuleType, splats: Splats, views: Views, options: RasterizeOptions) -> _Projected:
    opacities, covariances = _opacities(splats), _covariances(splats)
    radii, means, depths, conics, compensations = gsplat.fully_fused_projection(
        splats.means,
        covariances,
        splats.quats if covariances is None else None,
        splats.scales if covariances is None else None,
        views.camera_from_world,
        views.intrinsics_px,
        views.width,
        views.height,
        eps2d=options.blur_px2,
        near_plane=options.near,
        far_plane=options.far,
        radius_clip=options.radius_clip_px,
        calc_compensations=options.antialiased,
        opacities=opacities,
    )
    radii = torch.where(conics.isfinite().all(-1, keepdim=True), radii, 0)
    if views.means2d_offsets_px is not None:
        means = means + views.means2d_offsets_px
    opacities = opacities.expand(depths.shape)
    return _Projected(radii, means, depths, conics, opacities if compensations is None else opacities * compensations)


def _covariances(splats: Splats) -> Float[Tensor, "n 6"] | None:
    """Upper triangles, row by row; None where quaternions and scales say it all."""
    if splats.linear is None:
        return None
    axes = splats.linear @ (matrices_from_quats(normalize_quats(splats.quats)) * splats.scales[:, None])
    rows, columns = torch.triu_indices(3, 3, device=axes.device)
    return (axes @ axes.mT)[:, rows, columns]


def _opacities(splats: Splats) -> Float[Tensor, " n"]:
    """Zero for what the reference leaves out as no number: gsplat would take it for opaque."""
    linear = [] if splats.linear is None else [splats.linear.flatten(1)]
    values = torch.cat([*splats[:3], splats.opacities[:, None], *linear], 1)
    is_usable = values.isfinite().all(1) & (splats.opacities <= OPACITY_MAX)
    return torch.where(is_usable, splats.opacities, 0)


def _channels(gsplat: ModuleType, splats: Splats, views: Views, gaussians: _Projected) -> Float[Tensor, "c n d"]:
    colors, cameras = splats.colors, len(views.camera_from_world)
    if splats.sh_degree is None:
        return colors.expand(cameras, *colors.shape[-2:])
    rotations, translations = views.camera_from_world[:, :3, :3], views.camera_from_world[:, :3, 3:]
    directions = splats.means + (rotations.mT @ translations).mT
    is_visible = (gaussians.radii > 0).all(-1)
    coefficients = colors.expand(cameras, *colors.shape[-3:])
    return (gsplat.spherical_harmonics(splats.sh_degree, directions, coefficients, is_visible) + 0.5).clamp(min=0)


def _blend(
    gsplat: ModuleType, gaussians: _Projected, channels: Tensor, backgrounds: Tensor | None, views: Views
) -> tuple[Float[Tensor, "c h w d"], Float[Tensor, "c h w"]]:
    columns, rows = -(-views.width // TILE_PX), -(-views.height // TILE_PX)
    _, keys, ids = gsplat.isect_tiles(gaussians.means, gaussians.radii, gaussians.depths, TILE_PX, columns, rows)
    starts = gsplat.isect_offset_encode(keys, len(channels), columns, rows)
    absgrad = views.means2d_absgrad_px

    def draw(means: Tensor, conics: Tensor, opacities: Tensor, *layers: Tensor) -> tuple[Tensor, Tensor]:
        lists = (views.width, views.height, TILE_PX, starts, ids)
        behind = layers[1] if layers[1:] else None
        wants_absgrad = absgrad is not None
        return gsplat.rasterize_to_pixels(
            means, conics, layers[0], opacities, *lists, backgrounds=behind, absgrad=wants_absgrad
        )

    parts = []
    for first in range(0, channels.shape[-1], CHANNELS_AT_ONCE):
        part = slice(first, first + CHANNELS_AT_ONCE)
        layers = [t[..., part] for t in (channels, backgrounds) if t is not None]
        inputs = (gaussians.means, gaussians.conics, gaussians.opacities, *layers)
        parts.append(draw(*inputs) if absgrad is None else _WithoutSigns.apply(absgrad, draw, *inputs))
    return torch.cat([image for image, _ in parts], -1), parts[0][1][..., 0]


class _WithoutSigns(torch.autograd.Function):
    """Draws, with one input more, whose gradient is that of the centres summed over pixels without signs.

    gsplat leaves it as an attribute of the centres it was given; these are leaves of a graph of their own here.
    """

    @staticmethod
    def forward(ctx, absgrad: Tensor, draw: Callable[..., tuple[Tensor, Tensor]], *inputs: Tensor) -> tuple:
        del absgrad
        ctx.leaves = [t.detach().requires_grad_() for t in inputs]
        with torch.enable_grad():
            ctx.outputs = draw(*ctx.leaves)
        return tuple(t.detach() for t in ctx.outputs)

    @staticmethod
    def backward(ctx, *v_outputs: Tensor) -> tuple:
        gradients = torch.autograd.grad(ctx.outputs, ctx.leaves, v_outputs, retain_graph=True)
        return ctx.leaves[0].absgrad, None, *gradients
