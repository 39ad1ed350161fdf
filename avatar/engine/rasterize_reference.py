"""The Gaussian rasterizer in plain torch: the specification that every other backend must meet.

EWA splatting (Zwicker et al. 2001), thresholds of 3D Gaussian splatting (Kerbl et al. 2023), as in gsplat 1.5.3.
Runs on any device and in any floating type; gradients come from autograd.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.geometry import matrices_from_quats, sh_basis

from .views import RasterizeOptions, Renders, Splats, Views, check_inputs

TILE_PX = 32
ALPHA_MIN, ALPHA_MAX, TRANSMITTANCE_MIN = 1 / 255, 0.999, 1e-4
OPACITY_MAX = 1e30  # beyond it is an error, not an opacity


class _WithoutSigns(torch.autograd.Function):
    """Zeros for every pixel whose gradient is the sum over pixels of absolute values."""

    @staticmethod
    def forward(ctx, zeros: Tensor, pixels: int) -> Tensor:
        return torch.zeros_like(zeros).expand(pixels, *zeros.shape)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].abs().sum(0), None


class _Projected:
    """Gaussians on one image plane; culled ones are left out, the rest are in depth order."""

    def __init__(self, splats: Splats, views: Views, camera: int, options: RasterizeOptions) -> None:
        splats, is_usable = _without_hostile(splats)
        rotation = views.camera_from_world[camera, :3, :3]
        points = splats.means @ rotation.T + views.camera_from_world[camera, :3, 3]
        intrinsics = views.intrinsics_px[camera]
        depth = points[:, 2]
        in_range = (depth >= options.near) & (depth <= options.far)
        safe = torch.where(in_range[:, None], points, torch.ones_like(points))
        covariance = _covariance(splats, rotation, safe, intrinsics, views)
        a, b, c = covariance[:, 0, 0] + options.blur_px2, covariance[:, 0, 1], covariance[:, 1, 1] + options.blur_px2
        determinant = a * c - b * b
        is_solid = (determinant > 0) & determinant.isfinite()
        determinant = torch.where(is_solid, determinant, torch.ones_like(determinant))
        opacity = splats.opacities
        if options.antialiased:
            sharp = covariance[:, 0, 0] * covariance[:, 1, 1] - b * b
            opacity = opacity * (sharp / determinant).clamp(min=1e-30).sqrt()
        means = safe[:, :2] / safe[:, 2:] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]
        if views.means2d_offsets_px is not None:
            means = means + views.means2d_offsets_px[camera]
        with torch.no_grad():
            extent = (2 * (opacity * 255).log()).clamp(min=0).sqrt().clamp(max=3.33)
            radii = (extent[:, None] * torch.stack([a, c], -1).clamp(min=0).sqrt()).ceil().clamp(max=1e9)
            size = means.new_tensor([views.width, views.height])
            inside = ((means + radii > 0) & (means - radii < size)).all(-1)
            large = (radii > options.radius_clip_px).any(-1)
            is_seen = (opacity >= ALPHA_MIN) & (opacity <= OPACITY_MAX)
            visible = is_usable & in_range & is_solid & is_seen & inside & large
            order = visible.nonzero()[:, 0]
            order = order[torch.argsort(depth[order].float(), stable=True)]
        absgrad = views.means2d_absgrad_px
        self.absgrad = None if absgrad is None else absgrad[camera][order]
        self.radii = torch.where(visible[:, None], radii, 0).to(torch.int32)
        self.order = order
        self.means, self.opacity, self.depth = means[order], opacity[order], depth[order]
        self.conic = (torch.stack([c, -b, a], -1) / determinant[:, None])[order]
        reach = (2 * (self.opacity.detach() * 255).log()).clamp(min=0).sqrt() * 1.0001 + 1e-4
        self.reach = reach[:, None] * torch.stack([a, c], -1).detach()[order].sqrt()


def _without_hostile(splats: Splats) -> tuple[Splats, Bool[Tensor, " n"]]:
    """The same with harmless numbers for Gaussians that are not finite or have no orientation, and which are usable."""
    names = ("means", "quats", "scales", "opacities", *([] if splats.linear is None else ["linear"]))
    harmless = {name: getattr(splats, name) for name in names}
    values = torch.cat([value.flatten(1) if value.ndim > 1 else value[:, None] for value in harmless.values()], 1)
    is_usable = values.isfinite().all(1) & (splats.quats != 0).any(1)
    for name, value in harmless.items():
        is_kept = is_usable.view(-1, *[1] * (value.ndim - 1))
        harmless[name] = torch.where(is_kept, value, torch.ones_like(value))
    return splats._replace(**harmless), is_usable


def _covariance(
    splats: Splats, rotation: Float[Tensor, "3 3"], points: Tensor, intrinsics: Float[Tensor, "3 3"], views: Views
) -> Float[Tensor, "n 2 2"]:
    axes = matrices_from_quats(torch.nn.functional.normalize(splats.quats, dim=-1))
    axes = axes if splats.linear is None else splats.linear @ axes
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    depth = points[:, 2]
    margin_x, margin_y = 0.15 * views.width / fx, 0.15 * views.height / fy
    u = (points[:, 0] / depth).clamp(-(cx / fx + margin_x), (views.width - cx) / fx + margin_x)
    v = (points[:, 1] / depth).clamp(-(cy / fy + margin_y), (views.height - cy) / fy + margin_y)
    zero = torch.zeros_like(depth)
    jacobian = torch.stack([fx / depth, zero, -fx * u / depth, zero, fy / depth, -fy * v / depth], -1).view(-1, 2, 3)
    projected = jacobian @ rotation @ (axes * splats.scales[:, None, :])
    return projected @ projected.mT


def _channels(
    splats: Splats, views: Views, camera: int, options: RasterizeOptions, gaussians: _Projected
) -> Float[Tensor, "n d"]:
    degree = splats.sh_degree
    per_camera = splats.colors.ndim == (3 if degree is None else 4)
    colors = (splats.colors[camera] if per_camera else splats.colors)[gaussians.order]
    if degree is not None:
        transform = views.camera_from_world[camera]
        centre = -transform[:3, :3].T @ transform[:3, 3]
        directions = torch.nn.functional.normalize(splats.means[gaussians.order] - centre, dim=-1)
        colors = (torch.einsum("nk,nkd->nd", sh_basis(directions, degree), colors) + 0.5).clamp(min=0)
    return colors if options.depth == "none" else torch.cat([colors, gaussians.depth[:, None]], -1)


def _composite(
    gaussians: _Projected, channels: Float[Tensor, "m d"], pixels: Float[Tensor, "p 2"], nearby: Int[Tensor, " near"]
) -> tuple[Float[Tensor, "p d"], Float[Tensor, " p"]]:
    """Colours and transmittance of some pixels from the Gaussians in ``nearby``, front to back."""
    offset = gaussians.means[nearby] - pixels[:, None]
    if gaussians.absgrad is not None:
        offset = offset + _WithoutSigns.apply(gaussians.absgrad[nearby], len(pixels))
    a, b, c = gaussians.conic[nearby].unbind(-1)
    dx, dy = offset.unbind(-1)
    exponent = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (gaussians.opacity[nearby] * torch.exp(-exponent)).clamp(max=ALPHA_MAX)
    alpha = torch.where((exponent < 0) | (alpha < ALPHA_MIN), 0, alpha)
    alpha = torch.where(torch.cumprod(1 - alpha, 1) > TRANSMITTANCE_MIN, alpha, 0)
    after = torch.cumprod(1 - alpha, 1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1)
    last = after[:, -1] if after.shape[1] else after.new_ones(len(pixels))
    return (alpha * before) @ channels[nearby], last


def _render_camera(splats: Splats, views: Views, camera: int, options: RasterizeOptions) -> tuple[Tensor, ...]:
    gaussians = _Projected(splats, views, camera, options)
    channels = _channels(splats, views, camera, options, gaussians)
    low, high = gaussians.means.detach() - gaussians.reach, gaussians.means.detach() + gaussians.reach
    rows = []
    for top in range(0, views.height, TILE_PX):
        tiles = []
        for left in range(0, views.width, TILE_PX):
            height, width = min(TILE_PX, views.height - top), min(TILE_PX, views.width - left)
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            pixels = torch.stack([x.reshape(-1) + left + 0.5, y.reshape(-1) + top + 0.5], -1).to(splats.means)
            near = (high >= pixels[0]).all(-1) & (low <= pixels[-1]).all(-1)
            color, rest = _composite(gaussians, channels, pixels, near.nonzero()[:, 0])
            tiles.append(torch.cat([color, rest[:, None]], -1).view(height, width, -1))
        rows.append(torch.cat(tiles, 1))
    image = torch.cat(rows, 0)
    color, rest = image[..., :-1], image[..., -1]
    if views.backgrounds is not None:
        background = views.backgrounds[camera]
        background = background if options.depth == "none" else torch.nn.functional.pad(background, (0, 1))
        color = color + rest[..., None] * background
    return color, 1 - rest, gaussians.radii


def rasterize_reference(splats: Splats, views: Views, options: RasterizeOptions | None = None) -> Renders:
    """Render Gaussians into every view; same meaning, arguments and errors as ``rasterize``, any device."""
    options = options or RasterizeOptions()
    check_inputs(splats, views, options)
    cameras = [_render_camera(splats, views, camera, options) for camera in range(views.camera_from_world.shape[0])]
    colors, alphas, radii = (torch.stack(parts) for parts in zip(*cameras, strict=True))
    if options.depth == "expected":
        colors = torch.cat([colors[..., :-1], colors[..., -1:] / alphas[..., None].clamp(min=1e-10)], -1)
    return Renders(colors, alphas, radii)
