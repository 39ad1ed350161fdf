"""Rays through a ball that is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import OccupancyGrid, Rays
from avatar.geometry import look_at
from avatar.render import Backend, RenderConfig, camera_rays, pixel_centres, render, render_rays
from avatar.structs import Camera, FieldShape, RadianceField, RaySamples

RADIUS, STEP = 0.5, 0.01
BOX = torch.tensor([[-0.7, -0.7, -0.7], [0.7, 0.7, 0.7]])


def camera(height: int = 24, width: int = 32) -> Camera:
    eye, target = torch.tensor([0.0, -3.0, 0.4]), torch.zeros(3)
    focal = 40.0
    intrinsics = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    pose = look_at(eye, target, torch.tensor([0.0, 0.0, 1.0]))
    return Camera(camera_from_world=pose, intrinsics_px=intrinsics, height=height, width=width)


def _distance(points: Tensor) -> Tensor:
    return points.norm(dim=1) - RADIUS


def ball(opacity: float = 1.0, asked: list[int] | None = None) -> RadianceField:
    """Opaque inside, and coloured like the place where it is entered."""

    def shape(samples: RaySamples) -> FieldShape:
        distances = _distance(samples.points)
        normals = normalize(samples.points, dim=1)
        return FieldShape(
            samples=samples,
            alphas=torch.where(distances < 0, opacity, 0.0),
            distances=distances,
            gradients=normals,
            canonical_normals=normals,
            features=samples.points,
        )

    def radiance(seen: FieldShape) -> Tensor:
        if asked is not None:
            asked.append(len(seen.distances))
        return seen.features + 0.5

    occupied = torch.ones(8, 8, 8, dtype=torch.bool)
    return RadianceField(
        shape=shape, radiance=radiance, distance=_distance, grid=OccupancyGrid(occupied, BOX), step_m=STEP
    )


def entries(rays: Rays) -> tuple[Tensor, Tensor]:
    """Which rays meet the ball, and how far away."""
    along = (rays.origins * rays.directions).sum(1)
    inside = along.square() - rays.origins.square().sum(1) + RADIUS**2
    return inside > 0, -along - inside.clamp_min(0).sqrt()


def test_rays_pass_through_their_pixels() -> None:
    eye = camera()
    rays, pixels = camera_rays(eye, pixel_centres(eye)), pixel_centres(eye)
    assert pixels[0].tolist() == [0.5, 0.5]
    assert pixels[1].tolist() == [1.5, 0.5]
    assert pixels[-1].tolist() == [31.5, 23.5]
    torch.testing.assert_close(rays.directions.norm(dim=1), torch.ones(len(pixels)))
    far = rays.origins + 2.5 * rays.directions
    seen = far @ eye.camera_from_world[:3, :3].mT + eye.camera_from_world[:3, 3]
    back = seen @ eye.intrinsics_px.mT
    torch.testing.assert_close(back[:, :2] / back[:, 2:], pixels, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_an_opaque_ball_is_seen_where_it_is(backend: Backend) -> None:
    eye = camera()
    rays = camera_rays(eye, pixel_centres(eye))
    found = render_rays(ball(), rays, backend=backend)
    meets, depths = entries(rays)
    is_met = meets & (found.alpha > 0.5)
    assert float((found.alpha > 0.5).float().sub(meets.float()).abs().mean()) < 0.01
    assert float((found.depth - depths)[is_met].abs().max()) < 2 * STEP
    entered = rays.origins + depths[:, None] * rays.directions + 0.5
    assert float((found.color - entered)[is_met].abs().max()) < 2 * STEP


def test_the_background_shows_through_what_is_thin() -> None:
    config = RenderConfig(background=(1.0, 0.5, 0.0), depth=True)
    image = render(ball(opacity=0.01), camera(), config)
    assert image.depth is not None
    assert image.color[0, 0].tolist() == [1.0, 0.5, 0.0]
    black = render(ball(opacity=0.01), camera())
    behind = (1 - black.alpha)[..., None] * torch.tensor(config.background)
    torch.testing.assert_close(image.color, black.color + behind)
    middle = float(image.alpha[12, 16])
    assert middle == pytest.approx(1 - 0.99**100, abs=0.02)
    assert float(image.expected_depth()[12, 16]) == pytest.approx((9 + 0.16) ** 0.5, abs=0.15)


def test_only_samples_that_count_are_asked_for_their_colour() -> None:
    asked: list[int] = []
    eye = camera()
    found = render_rays(ball(asked=asked), camera_rays(eye, pixel_centres(eye)))
    assert asked == [int((found.alpha > 0).sum())]
    assert len(found.shape.distances) > 20 * asked[0]


def test_a_budget_of_samples_answers_the_first_rays() -> None:
    eye = camera()
    rays = camera_rays(eye, pixel_centres(eye))
    whole = render_rays(ball(), rays)
    part = render_rays(ball(), rays, most_samples=5000)
    count = len(part.alpha)
    assert 0 < count < len(whole.alpha)
    assert len(part.shape.distances) <= 5000
    torch.testing.assert_close(part.color, whole.color[:count])
    assert len(render_rays(ball(), rays, most_samples=1).alpha) >= 1


def test_gradients_reach_what_the_field_is_made_of() -> None:
    strength = torch.tensor(0.05, requires_grad=True)
    scene = ball()

    def thin(samples: RaySamples) -> FieldShape:
        seen = scene.shape(samples)
        return replace(seen, alphas=seen.alphas * strength)

    soft = replace(scene, shape=thin)
    eye = camera(8, 8)
    render_rays(soft, camera_rays(eye, pixel_centres(eye))).alpha.sum().backward()
    assert strength.grad is not None
    assert float(strength.grad) > 0


def test_a_camera_inside_sees_what_is_before_it() -> None:
    inside = replace(camera(), camera_from_world=torch.eye(4))
    image = render(ball(), inside)
    assert bool((image.alpha == 1).all())
    assert bool(image.color.isfinite().all())


def test_an_empty_grid_is_nothing() -> None:
    scene = ball()
    nothing = replace(scene, grid=OccupancyGrid(torch.zeros(8, 8, 8, dtype=torch.bool), BOX))
    image = render(nothing, camera())
    assert float(image.alpha.max()) == float(image.color.abs().max()) == 0
