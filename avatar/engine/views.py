"""What the rasterizer takes and gives: value types shared by the compiled kernel and its reference."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

ABSGRAD_CHANNELS = 4  # with depth: more are composited in turns, and a pixel's gradient is known only after the last


class Splats(NamedTuple):
    """Gaussians in world metres.

    ``colors`` are channels (``n d``, or ``c n d`` for one set a camera) or, with ``sh_degree``, spherical-harmonic
    coefficients (``n k 3`` or ``c n k 3``) whose colour is ``max(0, basis @ sh + 0.5)``. ``quats`` are ``wxyz``, any
    length. ``linear`` is what a deformation does to their axes: with it the covariance is ``(L R S) (L R S)^T``.
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    colors: Float[Tensor, "*c n d"]
    sh_degree: int | None = None
    linear: Float[Tensor, "n 3 3"] | None = None


class Views(NamedTuple):
    """Pinhole cameras of one image size; OpenCV axes, pixel centres at .5.

    ``means2d_offsets_px`` is added to the projected centres: zeros that require a gradient let one read off the
    gradient of the image positions, which densification needs. ``means2d_absgrad_px`` moves nothing: its gradient is
    the same summed over pixels without their signs, so that pixels which pull a Gaussian apart do not cancel (AbsGS,
    Ye et al. 2024; gsplat's ``absgrad``).
    """

    camera_from_world: Float[Tensor, "c 4 4"]
    intrinsics_px: Float[Tensor, "c 3 3"]
    height: int
    width: int
    backgrounds: Float[Tensor, "c d"] | None = None
    means2d_offsets_px: Float[Tensor, "c n 2"] | None = None
    means2d_absgrad_px: Float[Tensor, "c n 2"] | None = None


@dataclass(frozen=True, kw_only=True)
class RasterizeOptions:
    """How to rasterize; the defaults are gsplat 1.5.3's.

    Attributes:
        near, far: Gaussians whose centre lies outside are culled, metres.
        radius_clip_px: Gaussians no larger than this on the image are culled.
        blur_px2: added to the diagonal of the 2D covariance, square pixels (``eps2d``).
        antialiased: scale opacity by the blur's loss of area (Mip-Splatting, Yu et al. 2024).
        depth: append a channel: ``"sum"`` of weighted depths, or ``"expected"``, that sum over alpha.
    """

    near: float = 0.01
    far: float = 1e10
    radius_clip_px: float = 0.0
    blur_px2: float = 0.3
    antialiased: bool = False
    depth: Literal["none", "sum", "expected"] = "none"


class Renders(NamedTuple):
    """Images (with the depth channel last where asked for), coverage, and pixel radii (zero where culled)."""

    colors: Float[Tensor, "c h w d"]
    alphas: Float[Tensor, "c h w"]
    radii_px: Int[Tensor, "c n 2"]


def check_inputs(splats: Splats, views: Views, options: RasterizeOptions) -> None:
    """ValueError naming the tensor when shapes, dtypes or devices do not fit together."""
    n, c = splats.means.shape[0], views.camera_from_world.shape[0]
    degree, channels = splats.sh_degree, splats.colors.shape[-1] if splats.colors.ndim else 0
    color_shape = (channels,) if degree is None else ((degree + 1) ** 2, 3)
    lead = (c, n) if splats.colors.ndim == 2 + len(color_shape) else (n,)
    expected = {
        "means": (splats.means, (n, 3)),
        "quats": (splats.quats, (n, 4)),
        "scales": (splats.scales, (n, 3)),
        "opacities": (splats.opacities, (n,)),
        "colors": (splats.colors, (*lead, *color_shape)),
        "linear": (splats.linear, (n, 3, 3)),
        "camera_from_world": (views.camera_from_world, (c, 4, 4)),
        "intrinsics_px": (views.intrinsics_px, (c, 3, 3)),
        "backgrounds": (views.backgrounds, (c, color_shape[-1])),
        "means2d_offsets_px": (views.means2d_offsets_px, (c, n, 2)),
        "means2d_absgrad_px": (views.means2d_absgrad_px, (c, n, 2)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"rasterize: {name}: expected shape {shape}, got {tuple(tensor.shape)}")
        if tensor is not None and (tensor.dtype, tensor.device) != (splats.means.dtype, splats.means.device):
            raise ValueError(
                f"rasterize: {name}: expected {splats.means.dtype} on {splats.means.device} like means, "
                f"got {tensor.dtype} on {tensor.device}"
            )
    if splats.means.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"rasterize: means: expected float32 or float64, got {splats.means.dtype}")
    if degree is not None and not 0 <= degree <= 3:
        raise ValueError(f"rasterize: sh_degree: expected 0 to 3 or None, got {degree}")
    if channels == 0 and options.depth == "none":
        raise ValueError("rasterize: colors: expected at least one channel, or depth, got none")
    drawn = color_shape[-1] + (options.depth != "none")
    if views.means2d_absgrad_px is not None and drawn > ABSGRAD_CHANNELS:
        raise ValueError(f"rasterize: means2d_absgrad_px: expected at most {ABSGRAD_CHANNELS} channels, got {drawn}")
    if views.height < 1 or views.width < 1:
        raise ValueError(f"rasterize: expected a positive image size, got {views.height} x {views.width}")
