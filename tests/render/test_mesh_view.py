"""A mesh as a camera sees it: one triangle before it, by hand."""

import pytest
import torch

from avatar.render import view_mesh
from avatar.structs import Camera


def test_one_triangle_by_hand() -> None:
    """Two metres ahead, focal length 100 pixels, the middle of the picture at (20, 10)."""
    intrinsics = torch.tensor([[100.0, 0, 20], [0, 100, 10], [0, 0, 1]])
    camera = Camera(name="c", camera_from_world=torch.eye(4), intrinsics_px=intrinsics, height=20, width=40)
    vertices = torch.tensor([[-0.1, -0.1, 2.0], [0.1, -0.1, 2.0], [-0.1, 0.1, 2.0]])
    view = view_mesh(vertices, torch.tensor([[0, 1, 2]]), camera)
    assert view.pixels.tolist() == [[15.0, 5.0], [25.0, 5.0], [15.0, 15.0]]
    assert view.depths.tolist() == [2.0, 2.0, 2.0]
    assert view.raster.triangles.shape == (20, 40)
    assert view.raster.triangles[6, 16] == 0
    assert view.raster.triangles[14, 24] == -1
    assert float(view.raster.depths[6, 16]) == pytest.approx(2.0)
