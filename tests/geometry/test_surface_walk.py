"""Walks on a plane, a box, a sphere and a strip: straight, as long as asked for, and at home on the surface."""

import math

import pytest
import torch
from torch import Tensor

from avatar.geometry import SurfaceWalk, WalkableSurface, interpolate, sample_surface, triangle_frames

from .test_topology import grid, icosphere

POINT = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)


def points_of(vertices: Tensor, faces: Tensor, walk: SurfaceWalk) -> Tensor:
    return interpolate(vertices, faces[walk.triangles], walk.barycentrics)


def random_walks(vertices: Tensor, faces: Tensor, count: int, length: float) -> tuple[Tensor, Tensor, Tensor]:
    """Starts, and steps of one length in random tangent directions."""
    generator = torch.Generator().manual_seed(0)
    triangles, barycentrics = sample_surface(vertices, faces, count, generator)
    angles = 2 * math.pi * torch.rand(count, 1, generator=generator, dtype=vertices.dtype)
    tangent, bitangent, _ = triangle_frames(vertices, faces)[triangles].unbind(2)
    return triangles, barycentrics, length * (angles.cos() * tangent + angles.sin() * bitangent)


def assert_on_surface(walk: SurfaceWalk) -> None:
    assert bool((walk.barycentrics >= 0).all())
    torch.testing.assert_close(walk.barycentrics.sum(1), torch.ones_like(walk.barycentrics[:, 0]))


def test_on_a_plane_a_walk_is_a_sum() -> None:
    vertices, faces = grid(9)
    triangles = torch.randint(len(faces), (500,), generator=torch.Generator().manual_seed(1))
    barycentrics = torch.full((500, 3), 1 / 3, dtype=torch.float64)
    goals = 8 * torch.rand(500, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    goals[:, 2] = 0
    steps = goals - interpolate(vertices, faces[triangles], barycentrics)
    walk = WalkableSurface(vertices, faces).walk(triangles, barycentrics, steps, max_hops=40)
    torch.testing.assert_close(points_of(vertices, faces, walk), goals)
    torch.testing.assert_close(walk.turns, torch.eye(3, dtype=torch.float64).expand(500, 3, 3))
    assert float(walk.remaining.abs().max()) == 0
    assert_on_surface(walk)


def test_through_corners_and_along_edges() -> None:
    """From a vertex of the grid to another, straight over the vertices and edges between."""
    vertices, faces = grid(6)
    steps = torch.tensor([[3.0, 3, 0], [3, 0, 0], [0, 3, 0], [2, 1, 0], [0, 0, 0]], dtype=torch.float64)
    start = torch.tensor([[1.0, 0, 0]], dtype=torch.float64).expand(5, 3)
    triangles = ((faces[:, 0] == 7).nonzero()[:, 0])[[0, 0, 1, 0, 0]]
    walk = WalkableSurface(vertices, faces).walk(triangles, start, steps)
    torch.testing.assert_close(points_of(vertices, faces, walk), vertices[7] + steps)


def test_over_an_edge_by_hand() -> None:
    """Two triangles at a right angle: the way goes on down the wall, and up turns to along."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, -1]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [1, 0, 3]])
    step = torch.tensor([[0.2, -0.5, 9.0]], dtype=torch.float64)  # what points off the surface does not count
    walk = WalkableSurface(vertices, faces).walk(torch.tensor([0]), POINT, step)
    assert walk.triangles.tolist() == [1]
    torch.testing.assert_close(points_of(vertices, faces, walk)[0], torch.tensor([0.45, 0, -0.25]).double())
    expected = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(walk.turns[0], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_sphere_walks_follow_great_circles(dtype: torch.dtype) -> None:
    """Where a geodesic of the sphere ends, to one in a hundred of its length; so do the directions carried along."""
    vertices, faces = icosphere(4)
    vertices, length = vertices.to(dtype), 1.0
    triangles, barycentrics, steps = random_walks(vertices, faces, 400, length)
    walk = WalkableSurface(vertices, faces).walk(triangles, barycentrics, steps, max_hops=60)
    assert_on_surface(walk)
    assert float(walk.remaining.abs().max()) == 0
    start = torch.nn.functional.normalize(interpolate(vertices, faces[triangles], barycentrics), dim=1)
    end = torch.nn.functional.normalize(points_of(vertices, faces, walk), dim=1)
    angles = torch.atan2(torch.linalg.cross(start, end).norm(dim=1), (start * end).sum(1))
    torch.testing.assert_close(angles, torch.full_like(angles, length), rtol=0.01, atol=0)
    torch.testing.assert_close(end, math.cos(1) * start + math.sin(1) * steps, atol=0.06, rtol=0)
    arriving = math.cos(1) * steps - math.sin(1) * start
    torch.testing.assert_close((walk.turns @ steps[..., None])[..., 0], arriving, atol=0.1, rtol=0)


def test_turns_are_rotations_from_plane_to_plane() -> None:
    vertices, faces = icosphere(2)
    triangles, barycentrics, steps = random_walks(vertices, faces, 100, 0.8)
    walk = WalkableSurface(vertices, faces).walk(triangles, barycentrics, steps)
    eye = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(walk.turns @ walk.turns.mT, eye, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.linalg.det(walk.turns), torch.ones(100, dtype=torch.float64))
    normals = triangle_frames(vertices, faces)[..., 2]
    carried = (walk.turns @ normals[triangles][..., None])[..., 0]
    torch.testing.assert_close(carried, normals[walk.triangles], atol=1e-12, rtol=0)


def test_there_and_back_again() -> None:
    vertices, faces = icosphere(3)
    triangles, barycentrics, steps = random_walks(vertices, faces, 200, 0.7)
    surface = WalkableSurface(vertices, faces)
    there = surface.walk(triangles, barycentrics, steps, max_hops=40)
    back = surface.walk(there.triangles, there.barycentrics, -(there.turns @ steps[..., None])[..., 0], max_hops=40)
    torch.testing.assert_close(
        points_of(vertices, faces, back), interpolate(vertices, faces[triangles], barycentrics), atol=1e-9, rtol=0
    )
    torch.testing.assert_close(back.turns, there.turns.mT, atol=1e-9, rtol=0)


def test_around_a_corner_of_a_cube_directions_turn_by_its_angle_defect() -> None:
    """A closed way over three sides; what is carried along it turns by the missing right angle (Gauss and Bonnet)."""
    eye = torch.eye(3, dtype=torch.float64)
    vertices = torch.cat([torch.zeros(1, 3, dtype=torch.float64), eye, eye + eye.roll(1, 0)])
    faces = torch.tensor([[0, 1, 5], [0, 5, 2], [0, 2, 6], [0, 6, 3], [0, 3, 4], [0, 4, 1]])  # xy, yz, zx
    surface = WalkableSurface(vertices, faces)
    triangles, barycentrics = torch.tensor([0]), torch.tensor([[0.5, 0.0, 0.5]], dtype=torch.float64)
    start, total = interpolate(vertices, faces[triangles], barycentrics), torch.eye(3, dtype=torch.float64)
    point = start
    for _ in range(3):
        edge = torch.minimum(point, point.roll(1, 1))
        walk = surface.walk(triangles, barycentrics, 2 * (edge - point))
        torch.testing.assert_close(points_of(vertices, faces, walk), point.roll(1, 1))
        triangles, barycentrics, total = walk.triangles, walk.barycentrics, walk.turns[0] @ total
        point = points_of(vertices, faces, walk)
    torch.testing.assert_close(point, start)
    expected = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(total, expected)


def test_walks_stop_at_a_border() -> None:
    vertices, faces = grid(4)
    triangles, barycentrics, steps = random_walks(vertices, faces, 200, 20.0)
    walk = WalkableSurface(vertices, faces).walk(triangles, barycentrics, steps)
    points, start = points_of(vertices, faces, walk), interpolate(vertices, faces[triangles], barycentrics)
    at_border = torch.minimum(points[:, :2], 3 - points[:, :2]).amin(1)
    torch.testing.assert_close(at_border, torch.zeros(200, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(points + walk.remaining, start + steps)
    assert_on_surface(walk)


def test_walks_stop_after_the_limit() -> None:
    vertices, faces = grid(20)
    start = torch.full((1, 3), 1 / 3, dtype=torch.float64)
    step = torch.tensor([[15.0, 0.0, 0.0]], dtype=torch.float64)
    walk = WalkableSurface(vertices, faces).walk(torch.tensor([0]), start, step, max_hops=6)
    torch.testing.assert_close(points_of(vertices, faces, walk)[0, 0] + walk.remaining[0, 0], 2 / 3 + step[0, 0])
    assert 3 <= float(points_of(vertices, faces, walk)[0, 0]) <= 4, "six edges on"


def test_no_step_is_no_change() -> None:
    vertices, faces = icosphere(1)
    triangles, barycentrics, steps = random_walks(vertices, faces, 50, 0.0)
    walk = WalkableSurface(vertices, faces).walk(triangles, barycentrics, steps)
    assert torch.equal(walk.triangles, triangles)
    torch.testing.assert_close(walk.barycentrics, barycentrics)


@pytest.mark.parametrize("third", [[0.5, 0, 0], [0, 0, 0], [0.5, 1e-9, 0], [0.5, 1e-5, 0]])
def test_triangles_without_area_are_borders(third: list[float]) -> None:
    """A sliver, or nothing at all, between the first corner and the second."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], third])
    faces = torch.tensor([[0, 1, 2], [1, 0, 3]])
    surface = WalkableSurface(vertices, faces)
    start = torch.full((2, 3), 1 / 3)
    walk = surface.walk(torch.tensor([0, 1]), start, torch.tensor([[0.1, -5.0, 0], [0.3, 0.4, 0.2]]))
    for tensor in (walk.barycentrics, walk.turns, walk.remaining):
        assert bool(tensor.isfinite().all())
    assert_on_surface(walk)
    assert float(points_of(vertices, faces, walk)[0, 1]) == pytest.approx(0, abs=2e-5)
