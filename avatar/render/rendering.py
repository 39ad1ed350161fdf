"""``render``: Scene, Camera -> Rendering."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, rasterize, rasterize_reference
from avatar.engine.cuda import gsplat
from avatar.structs import Camera, Gaussians, RadianceField, Rendering

from .backend import Backend, RenderConfig
from .rays import render_field


def _rasterizer(backend: Backend) -> Callable[[Splats, Views, RasterizeOptions], Renders]:
    match backend:
        case "cpu":
            return rasterize
        case "torch":
            return rasterize_reference
        case "cuda":
            return gsplat.rasterize


def render(
    scene: Gaussians | RadianceField,
    camera: Camera,
    config: RenderConfig | None = None,
    means2d_offsets_px: Float[Tensor, "n 2"] | None = None,
) -> Rendering:
    """What ``camera`` sees of ``scene`` (world metres).

    ``means2d_offsets_px`` moves Gaussians on the image; its gradient is what densification measures. Of a radiance
    field no gradient passes: ``render_rays`` is for that. Raises ValueError where the scene is on a device that the
    backend does not serve, and what ``load_backend`` does.
    """
    config = config or RenderConfig()
    match scene:
        case Gaussians():
            return _render_gaussians(scene, camera, config, means2d_offsets_px)
        case RadianceField():
            return render_field(scene, camera, config)


def _render_gaussians(
    scene: Gaussians, camera: Camera, config: RenderConfig, means2d_offsets_px: Float[Tensor, "n 2"] | None
) -> Rendering:
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[scene.sh.shape[1]]
    splats = Splats(scene.means, scene.quats, scene.scales, scene.opacities, scene.sh, degree, scene.linear)
    background = torch.tensor(config.background, dtype=scene.means.dtype, device=scene.means.device)
    views = Views(
        camera_from_world=camera.camera_from_world[None],
        intrinsics_px=camera.intrinsics_px[None],
        height=camera.height,
        width=camera.width,
        backgrounds=background[None] if any(config.background) else None,
        means2d_offsets_px=None if means2d_offsets_px is None else means2d_offsets_px[None],
    )
    options = RasterizeOptions(antialiased=config.antialiased, depth="sum" if config.depth else "none")
    images = _rasterizer(config.backend)(splats, views, options)
    return Rendering(
        color=images.colors[0, ..., :3],
        alpha=images.alphas[0],
        depth=images.colors[0, ..., 3] if config.depth else None,
    )
