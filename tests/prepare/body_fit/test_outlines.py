"""Masks become contours with outward normals, and distances to the mask."""

import numpy as np
import torch

from avatar.prepare.body_fit.outlines import Outlines, read_outlines


def rectangle(height: int = 120, width: int = 160) -> np.ndarray:
    """Rows 30 to 89 and columns 50 to 89."""
    mask = np.zeros((height, width), bool)
    mask[30:90, 50:90] = True
    return mask


def outlines(mask: np.ndarray | None) -> Outlines:
    return read_outlines(lambda frame, camera: mask, [0], 1, 100)


def test_contours_run_along_the_border_and_look_outward() -> None:
    found = outlines(rectangle())
    x, y = found.points_px[0, 0].unbind(-1)
    sides = torch.stack([(x - 50).abs(), (x - 90).abs(), (y - 30).abs(), (y - 90).abs()]).amin(0)
    assert sides.max() < 0.5  # the corners are rounded
    outward = found.points_px[0, 0] + 3 * found.normals[0, 0]
    inside = (outward[:, 0] > 50.5) & (outward[:, 0] < 89.5) & (outward[:, 1] > 30.5) & (outward[:, 1] < 89.5)
    assert not inside.any()
    assert (found.weights == 1).all()
    assert (y < 31).sum() > 10


def test_distances_grow_outside_of_the_mask() -> None:
    found = outlines(rectangle())
    corner, cell = found.corners_px[0, 0], found.cells_px[0, 0]
    places = corner + cell * torch.stack(torch.meshgrid(*[torch.arange(128.0)] * 2, indexing="xy"), dim=-1)
    aside = torch.stack([50 - places[..., 0], places[..., 0] - 90]).amax(0).clamp_min(0)
    above = torch.stack([30 - places[..., 1], places[..., 1] - 90]).amax(0).clamp_min(0)
    assert (found.distances_px[0, 0] - torch.hypot(aside, above)).abs().max() < 1.5


def test_what_the_picture_cuts_off_is_no_contour() -> None:
    mask = rectangle()
    mask[30:, 50:90] = True
    found = outlines(mask)
    assert (found.weights[0, 0][found.points_px[0, 0, :, 1] > 118] == 0).all()
    assert found.weights.sum() > 50


def test_no_mask_says_nothing() -> None:
    for mask in (None, np.zeros((50, 50), bool)):
        found = outlines(mask)
        assert not found.weights.any()
        assert not found.distances_px.any()
