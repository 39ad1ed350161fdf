import dataclasses
import math

import pytest
import torch
from torch import Tensor

from avatar.geometry import look_at, project, transform_points
from avatar.structs import Box, Camera


def camera(height: int = 60, width: int = 80) -> Camera:
    return Camera(
        name="front",
        camera_from_world=look_at(
            torch.tensor([2.0, -3.0, 1.0]), torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0.0, 0.0, 1.0])
        ),
        intrinsics_px=torch.tensor([[90.0, 0.0, 41.0], [0.0, 95.0, 29.0], [0.0, 0.0, 1.0]]),
        height=height,
        width=width,
    )


def pixels_of(seen_by: Camera) -> Tensor:
    points_world = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 0.5
    return project(transform_points(seen_by.camera_from_world, points_world), seen_by.intrinsics_px)[0]


def test_a_crop_sees_the_same_points_shifted():
    box = Box(top=10, left=20, bottom=50, right=55)
    cropped = camera().crop(box)
    assert (cropped.height, cropped.width) == (40, 35)
    assert cropped.name == "front"
    torch.testing.assert_close(pixels_of(cropped), pixels_of(camera()) - torch.tensor([20.0, 10.0]))


def test_a_crop_of_a_crop_is_a_crop():
    twice = camera().crop(Box(top=10, left=20, bottom=50, right=60)).crop(Box(top=5, left=3, bottom=25, right=33))
    once = camera().crop(Box(top=15, left=23, bottom=35, right=53))
    torch.testing.assert_close(twice.intrinsics_px, once.intrinsics_px)
    assert (twice.height, twice.width) == (once.height, once.width)


@pytest.mark.parametrize("factor", [0.5, 2.0, 0.3])
def test_a_scaled_camera_keeps_the_place_of_points_in_the_image(factor: float):
    scaled = camera().scaled(factor)
    fractions = pixels_of(scaled) / torch.tensor([scaled.width, scaled.height])
    torch.testing.assert_close(fractions, pixels_of(camera()) / torch.tensor([80, 60]))


def test_scaling_keeps_pixel_centres_at_one_half():
    # Half the size: the first pixel covers the first four of the full image, its centre is their common corner.
    halved = camera().scaled(0.5)
    corner = torch.linalg.inv(camera().intrinsics_px) @ torch.tensor([1.0, 1.0, 1.0])
    torch.testing.assert_close(project(corner, halved.intrinsics_px)[0], torch.tensor([0.5, 0.5]))


def test_an_odd_size_scales_to_whole_pixels_exactly():
    scaled = camera(height=61, width=81).scaled(0.5)
    assert (scaled.height, scaled.width) == (30, 40)  # round half to even
    assert math.isclose(float(scaled.intrinsics_px[0, 0]), 90 * 40 / 81, rel_tol=1e-6)


def test_the_centre_is_where_the_camera_stands():
    torch.testing.assert_close(camera().centre_world, torch.tensor([2.0, -3.0, 1.0]))


@pytest.mark.parametrize("field", ["height", "intrinsics_px"])
def test_a_record_does_not_change(field: str):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(camera(), field, None)


def test_a_camera_changes_its_device_as_a_whole():
    moved = camera().to("meta")
    assert moved.camera_from_world.is_meta
    assert moved.intrinsics_px.is_meta


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_camera_without_pixels_is_refused(size: tuple[int, int]):
    with pytest.raises(ValueError, match="'front': expected a positive size"):
        camera(*size)


def test_a_padded_box_stays_inside_the_image():
    padded = Box(top=2, left=5, bottom=9, right=19).padded(4, height=12, width=20)
    assert padded == Box(top=0, left=1, bottom=12, right=20)
    assert (padded.height, padded.width) == (12, 19)
