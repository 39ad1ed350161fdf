"""How far away a person is, from guesses that are exact or nearly so."""

import pytest
import torch

from avatar.geometry import transform_points
from avatar.prepare.person_depth import locate, turns_towards
from avatar.structs import Camera

from .stick_figure import camera, guessed, seen, swinging


def slopes(pixels: torch.Tensor, view: Camera) -> torch.Tensor:
    intrinsics = view.intrinsics_px.double()
    return (pixels - intrinsics[:2, 2]) / intrinsics[0, 0]


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_exact_guesses_are_placed_exactly(tilt: float) -> None:
    view, points = camera(tilt=tilt), swinging(8)
    pixels, guesses = seen(points, view, 0.0), guessed(points, view, noise_m=0.0)
    found, costs = locate(slopes(pixels, view), torch.ones(8, 33), guesses)
    places = transform_points(view.camera_from_world.double(), points)
    assert float((found - places).abs().max()) < 1e-3, "the middle of the landmarks is not that of the body"
    assert float(costs.max()) < 1e-3


def test_a_few_wrong_landmarks_do_not_matter() -> None:
    view, points = camera(), swinging(8)
    pixels, guesses = seen(points, view, 0.0), guessed(points, view, noise_m=0.0)
    pixels[:, 13:17] += 300.0
    found, costs = locate(slopes(pixels, view), torch.ones(8, 33), guesses)
    places = transform_points(view.camera_from_world.double(), points)
    assert float((found - places).abs().max()) < 0.15
    assert float(costs.min()) > 3, "four landmarks cost almost one each"


def test_frames_without_a_person_stay_unknown() -> None:
    view, points = camera(), swinging(3)
    pixels, guesses = seen(points, view), guessed(points, view)
    pixels[1], guesses[1] = torch.nan, torch.nan
    confidences = torch.ones(3, 33)
    confidences[2, 5] = 0
    found, costs = locate(slopes(pixels, view), confidences, guesses)
    assert found[1].isnan().all()
    assert found[2, 5].isnan().all()
    assert found[0].isfinite().all()
    assert costs.isnan().tolist() == [False, True, False]


def test_turns_look_along_the_rays() -> None:
    directions = torch.tensor([[0.0, 0.0], [0.5, -0.3], [-2.0, 1.0]], dtype=torch.float64)
    turns = turns_towards(directions)
    rays = torch.nn.functional.normalize(torch.cat([directions, torch.ones(3, 1)], dim=1), dim=1)
    torch.testing.assert_close(turns[..., 2], rays)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3, dtype=torch.float64).expand(3, 3, 3))
