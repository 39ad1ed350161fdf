"""``render``: Scene, Camera -> Rendering."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, rasterize, rasterize_reference
from avatar.engine.cuda import gsplat
from avatar.structs import Camera, Gaussians, Rendering

Backend = Literal["cpu", "torch", "cuda"]
Device = Literal["cpu", "cuda"]
"""Where an avatar lives; the backend of the same name draws it there."""


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How to render.

    Attributes:
        backend: ``"cpu"``, the compiled engine; ``"cuda"``, gsplat, for scenes on a CUDA device; or ``"torch"``, the
            plain specification of both, for any device.
        background: sRGB behind the scene.
        antialiased: keep the brightness of what is smaller than a pixel (Mip-Splatting).
        depth: also give depth.
    """

    backend: Backend = "cpu"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    antialiased: bool = False
    depth: bool = False

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in self.background):
            raise ValueError(f"RenderConfig.background: expected sRGB in [0, 1], got {self.background}")


def load_backend(backend: Backend) -> None:
    """Get a backend ready, so that what it lacks is known before the work begins; the first time may take minutes.

    Raises ImportError, in one sentence that says what to do, where it cannot be had.
    """
    if backend == "cuda":
        gsplat.load()


def _rasterizer(backend: Backend) -> Callable[[Splats, Views, RasterizeOptions], Renders]:
    match backend:
        case "cpu":
            return rasterize
        case "torch":
            return rasterize_reference
        case "cuda":
            return gsplat.rasterize


def render(
    scene: Gaussians,
    camera: Camera,
    config: RenderConfig | None = None,
    means2d_offsets_px: Float[Tensor, "n 2"] | None = None,
) -> Rendering:
    """What ``camera`` sees of ``scene`` (world metres).

    ``means2d_offsets_px`` moves the Gaussians on the image; its gradient is what densification measures. Raises
    ValueError where the scene is on a device that the backend does not serve, and what ``load_backend`` does.
    """
    config = config or RenderConfig()
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
