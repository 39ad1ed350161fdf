"""Small scenes for the rasterizer, and what comes out of it with all gradients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, compiled_variant
from avatar.geometry import quats_from_axis_angles

Rasterizer = Callable[[Splats, Views, RasterizeOptions], Renders]


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """A random cloud between and around the cameras; ``None`` for ``sh_degree`` gives plain ``channels``."""

    count: int = 120
    height: int = 41
    width: int = 53
    cameras: int = 1
    channels: int = 3
    sh_degree: int | None = None
    per_camera: bool = False
    backgrounds: bool = False
    offsets: bool = False
    absgrad: bool = False
    linear: bool = False
    scale_m: float = 0.08
    depths_m: tuple[float, float] = (1.0, 4.0)
    dtype: torch.dtype = torch.float64
    options: RasterizeOptions = field(default_factory=RasterizeOptions)


class Scene(NamedTuple):
    """Everything that a rasterizer takes."""

    splats: Splats
    views: Views
    options: RasterizeOptions

    def inputs(self) -> dict[str, Tensor]:
        """The tensors that gradients flow to, by name."""
        named = {**self.splats._asdict(), **self.views._asdict()}
        return {name: t for name, t in named.items() if isinstance(t, Tensor) and name != "intrinsics_px"}

    def replace(self, changed: dict[str, Tensor]) -> "Scene":
        """The same with other tensors."""
        splats = {name: t for name, t in changed.items() if name in Splats._fields}
        views = {name: t for name, t in changed.items() if name in Views._fields}
        return self._replace(splats=self.splats._replace(**splats), views=self.views._replace(**views))

    def to(self, dtype: torch.dtype, device: str = "cpu") -> "Scene":
        """The same in another floating type, on a device."""
        changed = {name: t.to(device, dtype) for name, t in self.inputs().items()}
        return self.replace({**changed, "intrinsics_px": self.views.intrinsics_px.to(device, dtype)})


def _cameras(config: SceneConfig, generator: torch.Generator) -> Tensor:
    """Cameras near the origin that look along +z, each turned a little."""
    transforms = torch.eye(4, dtype=torch.float64).repeat(config.cameras, 1, 1)
    axis_angles = 0.15 * torch.randn(config.cameras, 3, generator=generator, dtype=torch.float64)
    x, y, z = axis_angles.unbind(-1)
    skew = torch.stack([0 * x, -z, y, z, 0 * x, -x, -y, x, 0 * x], -1).view(-1, 3, 3)
    transforms[:, :3, :3] = torch.matrix_exp(skew)
    transforms[:, :3, 3] = 0.1 * torch.randn(config.cameras, 3, generator=generator, dtype=torch.float64)
    return transforms


def _colors(config: SceneConfig, generator: torch.Generator) -> Tensor:
    lead = (config.cameras, config.count) if config.per_camera else (config.count,)
    if config.sh_degree is None:
        return torch.rand(*lead, config.channels, generator=generator, dtype=torch.float64)
    return 0.4 * torch.randn(*lead, (config.sh_degree + 1) ** 2, 3, generator=generator, dtype=torch.float64)


def _scene(config: SceneConfig) -> Scene:
    generator = torch.Generator().manual_seed(0)

    def uniform(*size: int) -> Tensor:
        return torch.rand(*size, generator=generator, dtype=torch.float64)

    n, focal = config.count, 0.9 * config.width
    near, far = config.depths_m
    depths = near + (far - near) * uniform(n, 1)
    means = torch.cat([(uniform(n, 2) - 0.5) * 1.4 * depths, depths], 1)
    channels = 3 if config.sh_degree is not None else config.channels
    intrinsics = torch.tensor(
        [[focal, 0, config.width / 2 - 0.7], [0, focal * 1.1, config.height / 2 + 0.4], [0, 0, 1]]
    )
    splats = Splats(
        means=means,
        quats=uniform(n, 4) * 2 - 1,
        scales=config.scale_m * (uniform(n, 3) * 2 - 1.5).exp(),
        opacities=uniform(n) * 0.98 + 0.01,
        colors=_colors(config, generator),
        sh_degree=config.sh_degree,
        linear=torch.eye(3) + uniform(n, 3, 3) - 0.5 if config.linear else None,
    )
    views = Views(
        camera_from_world=_cameras(config, generator),
        intrinsics_px=intrinsics.to(torch.float64).repeat(config.cameras, 1, 1),
        height=config.height,
        width=config.width,
        backgrounds=uniform(config.cameras, channels) if config.backgrounds else None,
        means2d_offsets_px=uniform(config.cameras, n, 2) if config.offsets else None,
        means2d_absgrad_px=torch.zeros(config.cameras, n, 2) if config.absgrad else None,
    )
    return Scene(splats, views, config.options).to(config.dtype)


def _outcome(rasterizer: Rasterizer, scene: Scene, is_counted: Tensor | None = None) -> dict[str, Tensor]:
    """Images, coverage, radii and, for a fixed random loss over the pixels counted, the gradient of every input."""
    inputs = {name: t.detach().clone().requires_grad_() for name, t in scene.inputs().items()}
    renders = rasterizer(*scene.replace(inputs))
    generator = torch.Generator().manual_seed(1)
    counted = torch.ones_like(renders.alphas) if is_counted is None else is_counted.to(renders.alphas)
    loss = renders.alphas.new_zeros(())
    for image, factor in ((renders.colors, counted[..., None]), (renders.alphas, counted)):
        weights = torch.randn(image.shape, generator=generator, dtype=torch.float64).to(image)
        loss = loss + (image * weights * factor).sum()
    gradients = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True, materialize_grads=True)
    named = {f"gradient of {name}": t for name, t in zip(inputs, gradients, strict=True)}
    return {name: t.detach() for name, t in renders._asdict().items()} | named


def _flips(ours: Renders, truth: Renders) -> Tensor:
    """Pixels where rounding has flipped a threshold (opacity 1/255, transmittance 1e-4, equal depths).

    There, and only there, some channel or the coverage is off by more than 1e-4 of the image's largest value.
    """
    off = ((ours.colors - truth.colors).abs() / truth.colors.abs().amax((0, 1, 2))).amax(-1)
    return torch.maximum(off, (ours.alphas - truth.alphas).abs()) > 1e-4


CASES = {
    "channels 1": {"channels": 1},
    "channels 2": {"channels": 2},
    "channels 3": {"channels": 3, "offsets": True},
    "channels 5": {"channels": 5, "backgrounds": True},
    "channels 9, depth": {"channels": 9, "backgrounds": True, "options": RasterizeOptions(depth="sum")},
    "sh 0": {"sh_degree": 0},
    "sh 1": {"sh_degree": 1, "backgrounds": True},
    "sh 2": {"sh_degree": 2, "cameras": 2},
    "sh 3": {"sh_degree": 3, "offsets": True},
    "sh 3 a camera": {"sh_degree": 3, "cameras": 2, "per_camera": True, "options": RasterizeOptions(depth="sum")},
    "three cameras": {"cameras": 3, "backgrounds": True, "offsets": True},
    "colours a camera": {"cameras": 2, "per_camera": True, "channels": 5},
    "depth": {"options": RasterizeOptions(depth="sum"), "backgrounds": True},
    "depth only": {"channels": 0, "options": RasterizeOptions(depth="sum")},
    "expected depth": {"options": RasterizeOptions(depth="expected"), "channels": 4},
    "antialiased": {"scale_m": 0.01, "options": RasterizeOptions(antialiased=True, depth="sum")},
    "antialiased, everything": {
        **{"cameras": 2, "sh_degree": 2, "backgrounds": True, "offsets": True, "scale_m": 0.02},
        "options": RasterizeOptions(antialiased=True, depth="expected"),
    },
    "sheared": {"linear": True, "sh_degree": 1},
    "sheared, everything": {
        **{"linear": True, "cameras": 3, "sh_degree": 2, "backgrounds": True, "offsets": True, "scale_m": 0.02},
        "options": RasterizeOptions(antialiased=True, depth="expected"),
    },
    "sheared, smaller than a tile": {"linear": True, "height": 7, "width": 5, "channels": 5},
    "sheared, all culled": {"linear": True, "depths_m": (-4.0, -1.0)},
    "no blur": {"options": RasterizeOptions(blur_px2=0.0)},
    "near, far": {"options": RasterizeOptions(near=1.5, far=3.0)},
    "radius clip": {"options": RasterizeOptions(radius_clip_px=9.0)},
    "behind and at the camera": {"depths_m": (-1.0, 1.0), "count": 200},
    "crowd": {"count": 1500, "scale_m": 0.15},
    "all over the image": {"scale_m": 30.0, "count": 40},
    "a thousand kilometres": {"scale_m": 1e6, "count": 40},
    "needles": {"scale_m": 1.0, "count": 30, "options": RasterizeOptions(antialiased=True)},
    "smaller than a tile": {"height": 7, "width": 5},
    "one pixel": {"height": 1, "width": 1, "scale_m": 1.0},
    "one row": {"height": 1, "width": 97},
    "whole tiles": {"height": 64, "width": 96},
    "no gaussians": {"count": 0, "backgrounds": True},
    "one gaussian": {"count": 1, "sh_degree": 1},
    "all culled": {"depths_m": (-4.0, -1.0), "backgrounds": True, "sh_degree": 1},
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> dict:
    """Fields of ``SceneConfig``: every kind of scene that a rasterizer must get right."""
    return request.param


@pytest.fixture
def shell(make_scene) -> Callable[..., tuple]:
    """A closed surface of thin Gaussians, like a body: 20 000 on an egg that fills most of 256 x 256 pixels."""

    def make(count: int = 20_000, size: int = 256):
        options = RasterizeOptions(depth="sum")
        scene = make_scene(count=count, height=size, width=size, sh_degree=1, backgrounds=True, options=options)
        generator = torch.Generator().manual_seed(2)
        normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=1)
        axis = torch.stack([-normals[:, 1], normals[:, 0], torch.zeros(count)], 1)  # z axis x normal
        angle = torch.atan2(axis.norm(dim=1), normals[:, 2])[:, None]
        means = normals * torch.tensor([0.5, 0.9, 0.4]) + torch.tensor([0.0, 0.0, 2.2])
        flat = torch.tensor([2.5, 2.5, 0.4]) / count**0.5
        changed = {
            "means": means + 0.003 * torch.randn(count, 1, generator=generator) * normals,
            "quats": quats_from_axis_angles(torch.nn.functional.normalize(axis, dim=1) * angle),
            "scales": flat * (0.3 * torch.randn(count, 3, generator=generator, dtype=torch.float64)).exp(),
        }
        return scene.replace(changed)

    return make


@pytest.fixture
def flips() -> Callable[[Renders, Renders], Tensor]:
    """Pixels where rounding has flipped a threshold."""
    return _flips


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    """A scene from the fields of ``SceneConfig``."""
    return lambda **fields: _scene(SceneConfig(**fields))


@pytest.fixture
def outcome() -> Callable[..., dict[str, Tensor]]:
    """What a rasterizer makes of a scene: outputs and gradients by name."""
    return _outcome


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Tests that change torch's number of threads leave it as it was."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def needs_engine() -> None:
    """Skips where the compiled library is missing."""
    if compiled_variant() is None:
        pytest.skip("the compiled engine was not built")


class Doubled(torch.autograd.Function):
    """The identity with a planted error: its gradient is twice what it should be."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> Tensor:
        return 2 * gradients[0]


@pytest.fixture
def doubled() -> Callable[[Tensor], Tensor]:
    """What a gradient check must catch: the identity with the gradient of its double."""
    return Doubled.apply
