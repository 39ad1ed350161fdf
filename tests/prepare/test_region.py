"""Regions: where a crop's pixels lie in the picture."""

import numpy as np
import pytest

from avatar.prepare import Region


def test_an_upright_person_needs_no_turn() -> None:
    region = Region.around(np.array([50.0, 80.0]), np.array([50.0, 40.0]), margin=1.25)
    assert region.size_px == pytest.approx(100)
    assert region.rotation_rad == pytest.approx(0)
    corners = np.array([[0.0, 0, 1], [64, 64, 1]]) @ region.picture_from_region(64).T
    np.testing.assert_allclose(corners, [[0, 30], [100, 130]])


def test_a_lying_person_is_turned_upright() -> None:
    """The head to the right in the picture is above in the region."""
    region = Region.around(np.array([50.0, 80.0]), np.array([90.0, 80.0]), margin=1.0)
    head = np.array([32.0, 0.0, 1.0])  # middle of the upper side
    np.testing.assert_allclose(region.picture_from_region(64) @ head, [90, 80], atol=1e-9)


def test_points_turn_as_the_pixels_do() -> None:
    region = Region(centre_px=(41.0, 29.0), size_px=64.0, rotation_rad=0.7)
    points = np.array([[1.0, 0, 5], [0, 1, 6], [-3, 2, 7]])
    offsets = region.picture_from_region(64)[:, :2] @ points[:, :2].T
    np.testing.assert_allclose(region.turn(points), np.column_stack([offsets.T, [5, 6, 7]]))


def test_a_crop_pasted_back_is_the_picture() -> None:
    rows, columns = np.mgrid[:60, :80]
    picture = np.repeat((2 * columns + rows)[..., None].astype(np.uint8), 3, axis=-1)
    region = Region(centre_px=(41.0, 29.0), size_px=40.0, rotation_rad=0.3)
    crop = region.crop(picture, 160)
    back = region.paste(crop[..., 0].astype(np.float32), 60, 80)
    inside = region.paste(np.ones((160, 160), np.float32), 60, 80) == 1
    assert inside.sum() > 1300
    assert np.abs(back - picture[..., 0])[inside].mean() < 0.4  # half a pixel's shift would be 1 or more


def test_half_pixels() -> None:
    """A crop of the picture's own pixels is the picture, not its neighbour's mean."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(
        Region(centre_px=(16.0, 16.0), size_px=32.0, rotation_rad=0.0).crop(picture, 32), picture
    )


def test_drift_is_of_place_size_and_turn() -> None:
    region = Region(centre_px=(10.0, 10.0), size_px=100.0, rotation_rad=3.1)
    assert region.drift(region) == 0
    assert region.drift(Region(centre_px=(13.0, 14.0), size_px=100.0, rotation_rad=3.1)) == pytest.approx(0.05)
    assert region.drift(Region(centre_px=(10.0, 10.0), size_px=80.0, rotation_rad=3.1)) == pytest.approx(0.1)
    turned = Region(centre_px=(10.0, 10.0), size_px=100.0, rotation_rad=-3.1)  # the same turn but for 0.083
    assert region.drift(turned) == pytest.approx(np.pi - 3.1)
