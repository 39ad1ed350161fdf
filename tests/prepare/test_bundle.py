"""Bundle adjustment: disturbed cameras come back, right ones stay, doubts are about what is wrong."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from avatar.prepare import BundleConfig, doubt_intrinsics, refine_cameras, triangulate
from avatar.prepare.rig_model import NUM_FREEDOMS, SHIFT, TURN, RigModel
from avatar.structs import Camera

from .rig import person, ring, seen


def disturbed(cameras: list[Camera], degrees: float, shift_m: float) -> list[Camera]:
    """Each camera turned and shifted by that much, in a direction of its own."""
    generator = torch.Generator().manual_seed(0)
    directions = normalize(torch.randn(2, len(cameras), 3, generator=generator, dtype=torch.float64), dim=-1)
    step = torch.zeros(len(cameras), NUM_FREEDOMS, dtype=torch.float64)
    step[:, TURN], step[:, SHIFT] = math.radians(degrees) * directions[0], shift_m * directions[1]
    return list(RigModel.of(cameras).moved(step).cameras(cameras))


def noisy(pixels: torch.Tensor, sigma_px: float) -> torch.Tensor:
    return pixels + sigma_px * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1), dtype=pixels.dtype)


def disagreement_px(cameras: tuple[Camera, ...], pixels: torch.Tensor) -> float:
    """How well cameras agree on where points are that true cameras saw there: nothing but the gauge is left out."""
    residuals = triangulate(cameras, pixels, torch.ones(pixels.shape[:3])).residuals_px
    return float(residuals.max())


def test_disturbed_cameras_come_back():
    """By 1 degree and 3 cm each; the world's place, turn and scale cannot be known and stay as calibrated."""
    cameras = ring(4)
    pixels = seen(cameras, person(12))
    wrong = disturbed(cameras, 1.0, 0.03)
    bundle = refine_cameras(wrong, pixels, torch.ones(pixels.shape[:3]))
    assert disagreement_px(tuple(wrong), pixels) > 5
    assert disagreement_px(bundle.cameras, pixels) < 0.1
    assert float(bundle.before_px.max()) > 5
    assert float(bundle.after_px.max()) < 0.01
    assert bundle.is_needed
    centres, truth = (torch.stack([each.centre_world for each in rig]) for rig in (bundle.cameras, cameras))
    assert float((centres - truth).norm(dim=-1).max()) < 0.05, "the prior keeps the gauge near"


def test_outliers_and_gaps_are_borne():
    cameras = ring(5)
    clean = seen(cameras, person(12))
    pixels = noisy(clean, 1.0)
    draw = torch.rand(clean.shape[:3], generator=torch.Generator().manual_seed(2))
    pixels[draw < 0.1] += 150
    pixels[draw > 0.95] = math.nan
    wary = BundleConfig(turn_rad=0.2, shift_m=1.0)  # of the calibration, since the landmarks' errors are independent
    bundle = refine_cameras(disturbed(cameras, 1.0, 0.03), pixels, torch.ones(clean.shape[:3]), wary)
    assert disagreement_px(bundle.cameras, clean) < 0.6
    assert float(bundle.after_px.max()) < 2


def test_right_cameras_stay():
    cameras = ring(4)
    pixels = seen(cameras, person(8))
    bundle = refine_cameras(cameras, noisy(pixels, 2.0), torch.ones(pixels.shape[:3]))
    assert not bundle.is_needed
    assert disagreement_px(bundle.cameras, pixels) < 1.2
    assert not bundle.changes[:, 6:].any(), "lenses are not free"


def test_a_focal_length_is_found_when_free():
    cameras = ring(5)
    pixels = seen(cameras, person(12))
    wrong = [replace(cameras[0], intrinsics_px=cameras[0].intrinsics_px * torch.tensor([[0.95], [0.95], [1]]))]
    wrong[0].intrinsics_px[:2, 2] = cameras[0].intrinsics_px[:2, 2]
    bundle = refine_cameras([*wrong, *cameras[1:]], pixels, torch.ones(pixels.shape[:3]), BundleConfig(focal=0.1))
    assert disagreement_px(bundle.cameras, pixels) < 0.1
    focals = torch.stack([each.intrinsics_px[0, 0] for each in bundle.cameras])
    assert float(focals[0] / focals[1:].mean()) == pytest.approx(1, abs=0.02)


def test_wrong_principal_points_are_doubted():
    cameras = ring(5)
    pixels = noisy(seen(cameras, person(12)), 2.0)
    weights = torch.ones(pixels.shape[:3])
    assert doubt_intrinsics(cameras, pixels, weights) == []
    shift = torch.zeros(3, 3)
    shift[0, 2], shift[1, 2] = 20.0, -15.0
    wrong = list(cameras)
    wrong[1] = replace(cameras[1], intrinsics_px=cameras[1].intrinsics_px + shift)
    doubts = doubt_intrinsics(wrong, pixels, weights)
    assert (doubts[0].camera, doubts[0].part) == ("c1", "principal point")
    assert doubts[0].change == pytest.approx((-20, 15), abs=10)
    assert "c1: the principal point seems wrong by (-" in str(doubts[0])


def test_what_cannot_be_solved_is_refused():
    pixels = seen(ring(3), person(2))
    weights = torch.zeros(pixels.shape[:3])
    weights[:, 0] = 1
    with pytest.raises(ValueError, match="landmarks that two cameras see"):
        refine_cameras(ring(3), pixels, weights)
    with pytest.raises(ValueError, match=r"BundleConfig\.focal: expected zero or more"):
        BundleConfig(focal=-1.0)
    with pytest.raises(ValueError, match=r"BundleConfig\.steps: expected one or more"):
        BundleConfig(steps=0)
