"""``render``: Scene, Camera -> Rendering."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import RasterizeOptions, Splats, Views, rasterize, rasterize_reference
from avatar.structs import Camera, Gaussians, Rendering


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How to render.

    Attributes:
        backend: ``"cpu"``, the compiled engine, or ``"torch"``, its plain specification, for any device.
        background: sRGB behind the scene.
        antialiased: keep the brightness of what is smaller than a pixel (Mip-Splatting).
        depth: also give depth.
    """

    backend: Literal["cpu", "torch"] = "cpu"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    antialiased: bool = False
    depth: bool = False

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in self.background):
            raise ValueError(f"RenderConfig.background: expected sRGB in [0, 1], got {self.background}")


def render(
    scene: Gaussians,
    camera: Camera,
    config: RenderConfig | None = None,
    means2d_offsets_px: Float[Tensor, "n 2"] | None = None,
) -> Rendering:
    """What ``camera`` sees of ``scene`` (world metres).

    ``means2d_offsets_px`` moves the Gaussians on the image; its gradient is what densification measures.
    """
    config = config or RenderConfig()
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[scene.sh.shape[1]]
    splats = Splats(scene.means, scene.quats, scene.scales, scene.opacities, scene.sh, degree)
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
    backend = {"cpu": rasterize, "torch": rasterize_reference}[config.backend]
    images = backend(splats, views, options)
    return Rendering(
        color=images.colors[0, ..., :3],
        alpha=images.alphas[0],
        depth=images.colors[0, ..., 3] if config.depth else None,
    )
