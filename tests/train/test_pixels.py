"""Pixels of several cameras at one moment."""

from dataclasses import replace

import pytest
import torch

from avatar.render import camera_rays, pixel_centres
from avatar.structs import Box, Capture
from avatar.train.pixels import Pixels, PixelStore

BOX = Box(top=20, left=10, bottom=120, right=90)


@pytest.fixture(scope="module")
def pixels(sample: Capture) -> Pixels:
    """Of two cameras, the second with a cut picture."""
    whole, other = (sample.load_frame(7, camera, True) for camera in (0, 3))
    rows, columns = slice(BOX.top, BOX.bottom), slice(BOX.left, BOX.right)
    cut = replace(
        other,
        camera=other.camera.crop(BOX),
        image=other.image[rows, columns],
        is_foreground=other.is_foreground[rows, columns],
    )
    return Pixels.of([whole, cut])


def test_rays_go_through_their_pixels(pixels: Pixels) -> None:
    """Colours, masks and rays that are drawn belong together."""
    of_each = [camera_rays(camera, pixel_centres(camera)) for camera in pixels.cameras]
    directions = torch.cat([rays.directions for rays in of_each])
    origins = torch.cat([rays.origins for rays in of_each])
    batch = pixels.draw(200, 0.0, torch.Generator().manual_seed(0))
    drawn = torch.cat([batch.rays.directions, batch.rays.origins], 1)
    every = torch.cat([directions, origins], 1)
    found = torch.cdist(drawn, every, compute_mode="donot_use_mm_for_euclid_dist")
    distances, rows = found.min(1)
    assert distances.max() < 1e-5
    assert torch.equal(batch.colors, pixels.colors[rows] / 255)
    assert torch.equal(batch.is_foreground, pixels.is_foreground[rows])
    assert (rows >= pixels.cameras[0].height * pixels.cameras[0].width).any(), "of both cameras"


def test_the_first_of_a_draw_are_as_mixed_as_all(pixels: Pixels) -> None:
    batch = pixels.draw(4000, 0.5, torch.Generator().manual_seed(0))
    parts = [part.float().mean().item() for part in batch.is_foreground.view(4, 1000)]
    assert max(parts) - min(parts) < 0.08
    assert 0.4 < sum(parts) / 4 < 0.7


def test_most_are_near_the_person(pixels: Pixels) -> None:
    shares = [
        pixels.draw(4000, share, torch.Generator().manual_seed(0)).is_foreground.float().mean()
        for share in (0.0, 0.5, 1.0)
    ]
    assert shares[0] == pytest.approx(float(pixels.is_foreground.float().mean()), abs=0.03)
    assert shares[0] < shares[1] - 0.1 < shares[2] - 0.2


def test_with_nobody_there_rays_go_anywhere(pixels: Pixels) -> None:
    nobody = torch.zeros_like(pixels.is_foreground)
    empty = replace(pixels, is_foreground=nobody, near=pixels.near[:0])
    assert len(empty.draw(64, 0.7, torch.Generator().manual_seed(0)).colors) == 64


def test_moments_are_read_once(sample: Capture) -> None:
    store = PixelStore(sample, (0, 3))
    assert store[7] is store[7]
    assert store[7].pose.frame_id == 7
    assert len(store[7].cameras) == 2
