"""A person of known shape and pose is found again."""

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.prepare import BodyFitConfig, FittedBody, Observations, fit_body

from .synthetic import FRAMES, Scene, scene

CONFIG = BodyFitConfig(skin_points=600, contour_points=80, landmark_steps=12, rounds=2, steps=10)


@pytest.fixture(scope="module")
def given() -> Scene:
    return scene()


@pytest.fixture(scope="module")
def fitted(given: Scene) -> FittedBody:
    return fit_body(given.observations, CONFIG)


def errors_mm(given: Scene, fitted: FittedBody) -> torch.Tensor:
    """Mean distance of the vertices in each frame."""
    shaped = load_body(fitted.rig).shaped(fitted.shape)
    found = torch.stack([shaped.posed(fitted.poses[frame]).vertices_world for frame in range(FRAMES)])
    return 1e3 * torch.linalg.vector_norm(found - given.vertices(), dim=-1).mean(1)


def test_person_and_poses_are_found_again(given: Scene, fitted: FittedBody) -> None:
    errors = errors_mm(given, fitted)
    assert errors.mean() < 15, errors
    assert errors.max() < 25, errors
    assert fitted.overlaps.min() > 0.9
    assert fitted.residuals_px.nanmedian() < 6
    assert fitted.shape.values.min() >= -1 / 3
    assert fitted.poses.local_quats.norm(dim=-1).sub(1).abs().max() < 1e-5


def test_nothing_seen_for_a_while(given: Scene) -> None:
    """Frames without a person, one camera without pictures: every frame has a pose, those between are between."""
    seen = given.observations
    points_world, confidences = seen.points_world.clone(), seen.confidences.clone()
    points_world[[0, 2]], confidences[[0, 2]] = torch.nan, 0.0
    confidences[:, 1] = 0.0

    def load_mask(frame: int, camera: int):
        return None if frame in (0, 2) or camera == 1 else seen.load_mask(frame, camera)

    less = replace(seen, points_world=points_world, confidences=confidences, load_mask=load_mask)
    fitted = fit_body(less, CONFIG)
    errors = errors_mm(given, fitted)
    assert errors[[1, 3, 4]].max() < 30, errors
    assert errors[2] < 50, errors
    torch.testing.assert_close(fitted.poses.local_quats[0], fitted.poses.local_quats[1])
    assert fitted.overlaps[:, 1].isnan().all()
    assert fitted.residuals_px[[0, 2]].isnan().all()


def test_the_same_twice_and_in_windows(given: Scene) -> None:
    config = replace(CONFIG, person_frames=2, window=3, overlap=1, rounds=1, steps=4)
    first, second = fit_body(given.observations, config), fit_body(given.observations, config)
    assert torch.equal(first.shape.values, second.shape.values)
    assert torch.equal(first.poses.local_quats, second.poses.local_quats)
    assert errors_mm(given, first).mean() < 30


def test_progress_rises(given: Scene) -> None:
    heard: list[float] = []
    few = _first_frames(given.observations, 2)
    fit_body(few, replace(CONFIG, rounds=1, steps=2), on_progress=lambda share, stage: heard.append(share))
    assert heard == sorted(heard)
    assert heard[0] == 0


def test_nobody_is_an_error(given: Scene) -> None:
    nobody = replace(given.observations, points_world=torch.full_like(given.observations.points_world, torch.nan))
    with pytest.raises(ValueError, match="expected a frame with"):
        fit_body(nobody, CONFIG)


def test_config_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="rounds: expected one or more, got 0"):
        BodyFitConfig(rounds=0)
    with pytest.raises(ValueError, match="overlap: expected 0 to half of window, got 30"):
        BodyFitConfig(overlap=30)


def _first_frames(seen: Observations, count: int) -> Observations:
    names = ("points_px", "confidences", "points_world", "point_confidences", "guesses_m")
    return replace(seen, **{name: getattr(seen, name)[:count] for name in names})
