import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    interpolate,
    matrices_from_axis_angles,
    sample_surface,
    triangle_areas,
    triangle_frames,
    triangle_normals,
)

FACES = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def tetrahedron() -> Tensor:
    return torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [0.3, 0.2, 1.5]], dtype=torch.float64)


def test_a_triangle_by_hand():
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [1, 2, 0]])
    frames = triangle_frames(vertices, faces)
    torch.testing.assert_close(frames[0], torch.eye(3))
    slant = math.sqrt(0.5)
    expected = torch.tensor([[-slant, -slant, 0], [slant, -slant, 0], [0, 0, 1]])  # first edge from (2, 0) to (1, 1)
    torch.testing.assert_close(frames[1], expected)
    torch.testing.assert_close(triangle_normals(vertices, faces)[0], torch.tensor([0.0, 0, 2]))
    torch.testing.assert_close(triangle_areas(vertices, faces), torch.ones(2))


def test_frames_turn_with_the_mesh_and_ignore_its_place():
    turn = matrices_from_axis_angles(torch.tensor([[0.4, -1.2, 2.0], [3.0, 0.1, 0.0]], dtype=torch.float64))
    vertices = tetrahedron()
    moved = vertices @ turn.mT + torch.tensor([1.0, 2, 3], dtype=torch.float64)
    torch.testing.assert_close(triangle_frames(moved, FACES), turn[:, None] @ triangle_frames(vertices, FACES))
    torch.testing.assert_close(triangle_areas(moved, FACES), triangle_areas(vertices, FACES).expand(2, 4))


DEGENERATE = {
    "point": [[1.0, 1, 1], [1, 1, 1], [1, 1, 1]],
    "line along x": [[0.0, 0, 0], [1, 0, 0], [2, 0, 0]],
    "slanted line": [[0.0, 0, 0], [1, 1, 1], [3, 3, 3]],
    "no first edge": [[0.0, 0, 0], [0, 0, 0], [0, 2, 0]],
    "no second edge": [[0.0, 0, 0], [0, 0, 3], [0, 0, 0]],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("corners", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_triangles_have_orthonormal_frames_and_finite_gradients(
    corners: list[list[float]], dtype: torch.dtype
):
    vertices = torch.tensor(corners, dtype=dtype, requires_grad=True)
    frames = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(frames @ frames.mT, torch.eye(3, dtype=dtype)[None], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(1, dtype=dtype), atol=1e-6, rtol=0)
    (frames * torch.arange(9.0).reshape(3, 3)).sum().backward()
    assert vertices.grad is not None
    assert vertices.grad.isfinite().all()


def test_interpolation_by_hand_and_in_batches():
    barycentrics = torch.tensor([[1.0, 0, 0], [0.2, 0.3, 0.5]], dtype=torch.float64)
    values = torch.stack([tetrahedron(), 2 * tetrahedron()])
    result = interpolate(values, FACES[[3, 0]], barycentrics)
    expected = torch.tensor([[2.0, 0, 0], [0.6, 0.5, 0]], dtype=torch.float64)
    torch.testing.assert_close(result, torch.stack([expected, 2 * expected]))


def test_samples_are_on_the_surface_and_spread_by_area():
    vertices = tetrahedron()
    triangles, barycentrics = sample_surface(vertices, FACES, 5000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(barycentrics.sum(1), torch.ones(5000, dtype=torch.float64))
    assert (barycentrics >= 0).all()
    areas = triangle_areas(vertices, FACES)
    counts = torch.bincount(triangles, minlength=4)
    assert ((counts - 5000 * areas / areas.sum()).abs() <= 2).all()
    centroid = (interpolate(vertices, FACES[triangles], barycentrics)).mean(0)
    exact = (vertices[FACES].mean(1) * areas[:, None]).sum(0) / areas.sum()
    torch.testing.assert_close(centroid, exact, atol=0.02, rtol=0)


def test_samples_repeat_with_the_seed():
    first = sample_surface(tetrahedron(), FACES, 50, torch.Generator().manual_seed(1))
    again = sample_surface(tetrahedron(), FACES, 50, torch.Generator().manual_seed(1))
    other = sample_surface(tetrahedron(), FACES, 50, torch.Generator().manual_seed(2))
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("scale", [0.0, math.nan])
def test_a_surface_without_area_is_refused(scale: float):
    with pytest.raises(ValueError, match="surface with area"):
        sample_surface(tetrahedron() * scale, FACES, 5)


def test_gradients():
    vertices = tetrahedron().requires_grad_()
    barycentrics = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: triangle_frames(v, FACES), vertices)
    assert gradcheck(lambda v: triangle_areas(v, FACES), vertices)
    assert gradcheck(lambda v, b: interpolate(v, FACES[:1], b), (vertices, barycentrics))
