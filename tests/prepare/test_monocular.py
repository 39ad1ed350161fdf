"""One camera: the world it stands in and the person before it, where both are known."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.geometry import project, transform_points
from avatar.prepare.monocular import MonocularConfig, Placement, place_person

from .stick_figure import camera, guessed, seen, swinging

FRAMES = 20


def placed(
    tilt: float = 0.15, height_m: float = 1.7, roll: float = 0.0, noise: float = 1.0
) -> tuple[Placement, torch.Tensor]:
    view, points = camera(tilt=tilt), swinging(FRAMES)
    cosine, sine = math.cos(roll), math.sin(roll)  # the camera turns the other way than its picture
    turn = torch.eye(4)
    turn[:2, :2] = torch.tensor([[cosine, -sine], [sine, cosine]])
    view = replace(view, camera_from_world=turn @ view.camera_from_world)
    pixels, guesses = seen(points, view, noise), guessed(points, view, noise_m=0.02 * noise)
    config = MonocularConfig(height_m=height_m, smooth_s=0.0)
    found = place_person(view, pixels, torch.ones(FRAMES, 33), guesses, 10.0, config)
    return found, transform_points(view.camera_from_world.double(), points)


def in_camera(found: Placement) -> torch.Tensor:
    return transform_points(found.camera.camera_from_world.double(), found.points_world)


def test_the_person_is_where_it_is() -> None:
    found, places = placed()
    errors = torch.linalg.vector_norm(in_camera(found) - places, dim=-1)
    assert float(errors.mean()) < 0.1
    exact, places = placed(noise=0.0)
    assert float((in_camera(exact) - places).abs().max()) < 2e-3


def test_sizes_and_distances_scale_with_the_persons_height() -> None:
    short, tall = placed(height_m=1.5)[0], placed(height_m=1.8)[0]
    ratio = in_camera(tall) / in_camera(short)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 1.2), rtol=5e-3, atol=0)


@pytest.mark.parametrize("tilt", [-0.2, 0.0, 0.3])
def test_the_world_is_upright_on_the_ground(tilt: float) -> None:
    found = placed(tilt)[0]
    assert found.tilt_deg == pytest.approx(math.degrees(tilt), abs=3)
    assert found.roll_deg == 0
    feet = swinging(FRAMES)[:, 29:33, 2]
    assert float((found.points_world[:, 29:33, 2] - feet).abs().median()) < 0.05
    middle = found.points_world[..., :2].flatten(0, 1).median(dim=0).values
    assert middle.abs().max() < 1e-6
    camera_from_world = found.camera.camera_from_world
    ahead = camera_from_world[2, :3]
    assert float(ahead[0]) == pytest.approx(0, abs=1e-6)
    assert float(ahead[1]) > 0.9
    assert float(torch.linalg.det(camera_from_world[:3, :3])) == pytest.approx(1)


def test_points_lie_on_the_rays_of_their_landmarks() -> None:
    view, points = camera(), swinging(FRAMES)
    pixels, guesses = seen(points, view, 5.0), guessed(points, view)
    found = place_person(view, pixels, torch.ones(FRAMES, 33), guesses, 10.0)
    again = project(in_camera(found), view.intrinsics_px.double())[0]
    assert float((again - pixels).abs().max()) < 1e-2


def test_a_camera_on_its_side_is_noticed_a_leaning_person_is_not() -> None:
    assert placed(roll=-math.pi / 2)[0].roll_deg == pytest.approx(90, abs=2)
    assert placed(roll=0.6)[0].roll_deg == pytest.approx(math.degrees(-0.6), abs=2)
    assert placed(roll=0.2)[0].roll_deg == 0


def test_distances_are_smoothed_over_gaps() -> None:
    view, points = camera(), swinging(FRAMES)
    pixels, guesses = seen(points, view, 0.0), guessed(points, view, noise_m=0.0)
    guesses[::2] *= 1.05  # the network wavers
    pixels[7], guesses[7] = torch.nan, torch.nan
    rough = place_person(view, pixels, torch.ones(FRAMES, 33), guesses, 10.0, MonocularConfig(smooth_s=0.0))
    smooth = place_person(view, pixels, torch.ones(FRAMES, 33), guesses, 10.0, MonocularConfig(smooth_s=0.3))
    depths = [in_camera(found)[:, 23, 2] for found in (rough, smooth)]
    assert all(depth[7].isnan() for depth in depths)
    jumps = [float(depth[8:].diff().diff().abs().mean()) for depth in depths]
    assert jumps[1] < 0.2 * jumps[0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"MonocularConfig\.height_m: expected 0\.4 to 2\.6 metres, got 170"):
        MonocularConfig(height_m=170.0)
    with pytest.raises(ValueError, match=r"MonocularConfig\.smooth_s: expected zero or more, got -1"):
        MonocularConfig(smooth_s=-1.0)
    nobody = torch.full((2, 33, 2), torch.nan)
    with pytest.raises(ValueError, match="phone: nobody was found in any frame"):
        place_person(camera(), nobody, torch.zeros(2, 33), torch.full((2, 33, 3), torch.nan), 30.0)
