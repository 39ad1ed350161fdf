"""Cameras around a person."""

import math

import pytest
import torch

from avatar.geometry import project, transform_points
from avatar.render import framing_distance, orbit
from avatar.render.cameras import MARGIN

TARGETS = torch.tensor([[1.0, 2.0, 0.9], [1.1, 2.0, 0.9], [1.2, 2.0, 0.9], [1.2, 2.1, 0.9]])


def test_each_camera_sees_its_target_in_the_middle_and_up_upwards():
    cameras = orbit(TARGETS, 3.0, height=60, width=41, elevation=0.3)
    for camera, target in zip(cameras, TARGETS, strict=True):
        above = torch.tensor([0.0, 0.0, 0.2])
        pixels, depths = project(
            transform_points(camera.camera_from_world, torch.stack([target, target + above])), camera.intrinsics_px
        )
        assert pixels[0].tolist() == pytest.approx([20.5, 30.0], abs=1e-3)
        assert pixels[1].tolist() == pytest.approx([20.5, float(pixels[1, 1])], abs=1e-3)
        assert pixels[1, 1] < 30
        assert float(depths[0]) == pytest.approx(3.0, abs=1e-5)
        assert float(camera.centre_world[2] - target[2]) == pytest.approx(3 * math.sin(0.3), abs=1e-5)


def test_the_circle_begins_in_front_and_runs_counter_clockwise():
    still = torch.zeros(4, 3)
    centres = torch.stack([c.centre_world for c in orbit(still, 2.0, height=8, width=8, elevation=0.0)])
    expected = torch.tensor([[0.0, -2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [-2.0, 0.0, 0.0]])
    assert centres.allclose(expected, atol=1e-5)
    half = orbit(still, 2.0, height=8, width=8, elevation=0.0, start=0.0, turns=0.5)
    assert half[2].centre_world.allclose(torch.tensor([0.0, 2.0, 0.0]), atol=1e-5)


@pytest.mark.parametrize("width", [30, 90])
def test_framed_points_just_fill_the_picture(width: int):
    points = TARGETS[:, None] + torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0)) * 0.4
    turned = orbit(TARGETS, 1.0, height=60, width=width)
    distance = framing_distance(points, TARGETS, turned)
    reach = torch.stack(
        [
            project(transform_points(camera.camera_from_world, seen), camera.intrinsics_px)[0]
            for camera, seen in zip(orbit(TARGETS, distance, height=60, width=width), points, strict=True)
        ]
    )
    away = (reach / torch.tensor([width, 60.0]) - 0.5).abs()
    assert float(away.max()) == pytest.approx(0.5 - MARGIN, abs=1e-4)


def test_a_circle_needs_a_distance():
    with pytest.raises(ValueError, match="distance_m above 0, got 0"):
        orbit(TARGETS, 0.0, height=8, width=8)
    with pytest.raises(ValueError, match="look_at"):
        orbit(TARGETS, 1.0, height=8, width=8, elevation=math.pi / 2)
