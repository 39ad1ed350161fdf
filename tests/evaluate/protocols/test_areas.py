"""Boxes and windows against pixels counted by hand."""

import pytest
import torch

from avatar.evaluate.protocols.areas import pixels_in_box, window_around
from avatar.structs import Box, Camera


def camera(centre_px: float = 8.0) -> Camera:
    """16 x 16 pixels, focal length 10 pixels, at the origin along +z."""
    intrinsics = torch.tensor([[10.0, 0, centre_px], [0, 10, centre_px], [0, 0, 1]])
    return Camera(camera_from_world=torch.eye(4), intrinsics_px=intrinsics, height=16, width=16)


def test_pixels_of_a_box_by_hand() -> None:
    """Its near face, 5 m away, reaches 1 m left and 1.5 m right, so 2 and 3 pixels; 0.5 m up and down, 1 pixel each."""
    seen = pixels_in_box(camera(), torch.tensor([-1.0, -0.5, 5.0]), torch.tensor([1.5, 0.5, 6.0]))
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[7:9, 6:11] = True
    assert torch.equal(seen, expected)


def test_a_camera_elsewhere_sees_the_same() -> None:
    """The camera moved and turned about z by a right angle, and the box with it."""
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = torch.eye(4)
    moved[:3, :3] = turn.mT
    moved[:3, 3] = -turn.mT @ torch.tensor([3.0, -2, 1])
    there = Camera(camera_from_world=moved, intrinsics_px=camera().intrinsics_px, height=16, width=16)
    corners = torch.tensor([[-1.0, -0.5, 5], [1.5, 0.5, 6]]) @ turn.mT + torch.tensor([3.0, -2, 1])
    seen = pixels_in_box(there, corners.amin(0), corners.amax(0))
    assert torch.equal(seen, pixels_in_box(camera(), torch.tensor([-1.0, -0.5, 5.0]), torch.tensor([1.5, 0.5, 6.0])))


def test_rays_along_an_axis_are_decided() -> None:
    """The middle pixel of this camera looks along z, and through the box all the same."""
    seen = pixels_in_box(camera(8.5), torch.tensor([-0.1, -0.1, 5.0]), torch.tensor([0.1, 0.1, 6.0]))
    assert seen.nonzero().tolist() == [[8, 8]]


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (Box(top=40, left=50, bottom=61, right=60), Box(top=31, left=45, bottom=71, right=65)),
        (Box(top=0, left=0, bottom=10, right=10), Box(top=0, left=0, bottom=40, right=20)),
        (Box(top=90, left=90, bottom=100, right=100), Box(top=60, left=80, bottom=100, right=100)),
        (Box(top=10, left=10, bottom=70, right=50), Box(top=10, left=10, bottom=50, right=30)),
    ],
)
def test_windows_by_hand(person: Box, expected: Box) -> None:
    """Around the middle; pushed inside at two corners; from its corner where the person is larger."""
    assert window_around(person, 40, 20, 100, 100) == expected


def test_pictures_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 40 x 20 \(h x w\), got 39 x 100"):
        window_around(Box(top=0, left=0, bottom=1, right=1), 40, 20, 39, 100)
