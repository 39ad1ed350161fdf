import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    cotangent_laplacian,
    cotangent_weights,
    edges,
    farthest_point_sampling,
    interior_edges,
    side_edges,
    uniform_laplacian,
    vertex_normals,
)

SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])


def grid(size: int) -> tuple[Tensor, Tensor]:
    """A flat square of ``size`` x ``size`` vertices, a unit apart, facing +z."""
    steps = torch.arange(size, dtype=torch.float64)
    x, y = torch.meshgrid(steps, steps, indexing="xy")
    corner = (torch.arange(size - 1)[:, None] * size + torch.arange(size - 1)).flatten()
    lower = torch.stack([corner, corner + 1, corner + size + 1], dim=1)
    upper = torch.stack([corner, corner + size + 1, corner + size], dim=1)
    return torch.stack([x, y, torch.zeros_like(x)], dim=-1).reshape(-1, 3), torch.cat([lower, upper])


def icosphere(subdivisions: int) -> tuple[Tensor, Tensor]:
    """A unit sphere: an octahedron whose triangles were split in four, again and again."""
    eye = torch.eye(3, dtype=torch.float64)
    vertices = torch.cat([eye, -eye])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    for _ in range(subdivisions):
        unique, inverse = torch.unique(
            faces[:, [[0, 1], [1, 2], [2, 0]]].sort(-1).values.flatten(0, 1), dim=0, return_inverse=True
        )
        ab, bc, ca = (inverse.reshape(-1, 3) + len(vertices)).unbind(1)
        a, b, c = faces.unbind(1)
        vertices = torch.cat([vertices, vertices[unique].sum(1)])
        vertices = vertices / vertices.norm(dim=1, keepdim=True)
        corners = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
        faces = torch.cat([torch.stack(triangle, dim=1) for triangle in corners])
    return vertices, faces


def test_edges_of_a_square():
    assert edges(SQUARE).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]


def test_a_closed_surface_satisfies_euler():
    vertices, faces = icosphere(2)
    assert len(vertices) - len(edges(faces)) + len(faces) == 2


def test_vertex_normals_of_a_sphere_point_outwards():
    vertices, faces = icosphere(3)
    normals = vertex_normals(torch.stack([vertices, 3 * vertices + 1]), faces)
    torch.testing.assert_close(normals, vertices.expand(2, -1, -1), atol=0.04, rtol=0)  # triangles differ in size
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(2, len(vertices), dtype=torch.float64))


def test_a_vertex_without_triangles_has_no_normal_and_no_laplacian():
    vertices = torch.rand(5, 3, requires_grad=True)
    normals, laplacian = vertex_normals(vertices, SQUARE), uniform_laplacian(vertices, edges(SQUARE))
    assert normals[4].tolist() == [0, 0, 0]
    assert laplacian[4].tolist() == [0, 0, 0]
    (normals.sum() + laplacian.sum()).backward()
    assert vertices.grad is not None
    assert vertices.grad.isfinite().all()


def test_the_uniform_laplacian_by_hand():
    values = torch.tensor([[0.0], [3.0], [6.0], [12.0]])
    # neighbours of 0: 1, 2, 3; of 1: 0, 2; of 2: 0, 1, 3; of 3: 0, 2
    expected = torch.tensor([[7.0], [0.0], [-1.0], [-9.0]])
    result = uniform_laplacian(torch.stack([values, 2 * values]), edges(SQUARE))
    torch.testing.assert_close(result, torch.stack([expected, 2 * expected]))


def test_the_cotangent_laplacian_is_the_five_point_stencil_on_a_grid():
    vertices, faces = grid(5)
    inside = [6, 7, 8, 11, 12, 13, 16, 17, 18]
    x, y, _ = vertices.unbind(1)
    values = torch.stack([torch.ones_like(x), 2 * x - y, x * x + 3 * y * y], dim=1)
    result = cotangent_laplacian(values, vertices, faces)[inside]
    torch.testing.assert_close(result, torch.tensor([0.0, 0, 8], dtype=torch.float64).expand(9, 3), atol=1e-12, rtol=0)


def test_the_cotangent_laplacian_of_a_sphere_is_its_curvature():
    vertices, faces = icosphere(4)
    result = cotangent_laplacian(vertices, vertices, faces)
    # Mean curvature 1: the sum over the sphere of -2 H A n . n is minus twice its area.
    torch.testing.assert_close(
        (result * vertices).sum(), torch.tensor(-8 * math.pi, dtype=torch.float64), atol=0, rtol=0.01
    )
    torch.testing.assert_close(result.sum(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_farthest_points_spread_and_repeat():
    vertices, _ = icosphere(3)
    chosen = farthest_point_sampling(vertices, 6)
    assert len(set(chosen.tolist())) == 6
    distances = torch.cdist(vertices[chosen], vertices[chosen]) + 10 * torch.eye(6)
    assert distances.min() > 1.2  # the six ends of the axes are sqrt(2) apart
    assert torch.equal(chosen, farthest_point_sampling(vertices, 6))
    assert torch.equal(chosen[:3], farthest_point_sampling(vertices, 3))


def test_farthest_points_on_a_line_by_hand():
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [10, 0, 0]])
    assert farthest_point_sampling(points, 4).tolist() == [3, 0, 2, 1]
    with pytest.raises(ValueError, match="count: expected 1 to 4"):
        farthest_point_sampling(points, 5)


def test_gradients():
    vertices, faces = icosphere(0)
    vertices.requires_grad_()
    assert gradcheck(lambda v: vertex_normals(v, faces), vertices)
    assert gradcheck(lambda v: uniform_laplacian(v, edges(faces)), vertices)
    assert gradcheck(lambda v: cotangent_laplacian(v, v, faces), vertices)


def test_cotangent_weights_belong_to_the_opposite_edge() -> None:
    """Legs of 2 and 1: no weight opposite the right angle; half of 1/2 and of 2 opposite the others."""
    corners = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0]], dtype=torch.float64)
    ends, weights = cotangent_weights(corners, torch.tensor([[0, 1, 2]]))
    assert ends.tolist() == [[0, 1], [0, 2], [1, 2]]
    torch.testing.assert_close(weights, corners.new_tensor([0.25, 1.0, 0.0]))


def test_cotangent_weights_add_over_both_triangles() -> None:
    """The diagonal of a square has right angles on both sides, each side of it one of 45 degrees."""
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    ends, weights = cotangent_weights(corners, SQUARE)
    assert dict(zip(map(tuple, ends.tolist()), weights.tolist(), strict=True)) == pytest.approx(
        {(0, 1): 0.5, (0, 2): 0.0, (0, 3): 0.5, (1, 2): 0.5, (2, 3): 0.5}
    )


def test_interior_edges_of_a_square() -> None:
    ends, triangles = interior_edges(SQUARE)
    assert (ends.tolist(), triangles.tolist()) == ([[0, 2]], [[0, 1]])


def test_interior_edges_of_a_closed_surface_are_all() -> None:
    _, faces = icosphere(2)
    ends, triangles = interior_edges(faces)
    assert sorted(ends.tolist()) == edges(faces).tolist()
    assert torch.bincount(triangles.flatten()).tolist() == [3] * len(faces)
    shared = (faces[triangles][..., None] == ends[:, None, None]).flatten(2, 3).sum(2)
    assert bool((shared == 2).all())


def test_sides_find_their_edges() -> None:
    _, faces = icosphere(2)
    ends = edges(faces)[side_edges(faces)]
    assert torch.equal(ends, torch.stack([faces, faces.roll(-1, 1)], 2).sort(2).values)
