"""The stretch of a displacement, by hand and by its laws."""

import math

import pytest
import torch
from torch import Tensor

from avatar.geometry import matrices_from_axis_angles
from avatar.losses import Stretch
from avatar.structs import Mesh


def triangle() -> Mesh:
    """Edges of 2, 1 and the root of 5 metres."""
    return Mesh(vertices=torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0]]), faces=torch.tensor([[0, 1, 2]]))


def tetrahedron() -> Mesh:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 1.5]])
    return Mesh(vertices=corners, faces=torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))


def some() -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_a_shift_costs_nothing() -> None:
    assert float(Stretch(tetrahedron())(torch.tensor([0.3, -2.0, 7.0]).expand(4, 3))) == pytest.approx(0, abs=1e-12)


def test_one_moved_corner_by_hand() -> None:
    """Two of three edges change by half a metre: a quarter and a half of their lengths, in one of three axes."""
    displacement = torch.tensor([[0.0, 0.0, 0.5], [0, 0, 0], [0, 0, 0]])
    assert float(Stretch(triangle())(displacement)) == pytest.approx((0.25**2 + 0.5**2) / 9)


def test_growing_by_a_tenth_costs_a_hundredth() -> None:
    """Every edge changes by a tenth of its length; the mean is over its three coordinates."""
    mesh = tetrahedron()
    assert float(Stretch(mesh)(0.1 * mesh.vertices)) == pytest.approx(0.01 / 3)


def test_laws() -> None:
    mesh, displacement = tetrahedron(), some()
    cost = float(Stretch(mesh)(displacement))
    turn = matrices_from_axis_angles(torch.tensor([0.4, -1.0, 2.0]))
    turned = Mesh(vertices=mesh.vertices @ turn.T + 3, faces=mesh.faces)
    larger = Mesh(vertices=4 * mesh.vertices, faces=mesh.faces)
    assert float(Stretch(mesh)(3 * displacement)) == pytest.approx(9 * cost, rel=1e-5)
    assert float(Stretch(turned)(displacement @ turn.T)) == pytest.approx(cost, rel=1e-5)
    assert float(Stretch(larger)(4 * displacement)) == pytest.approx(cost, rel=1e-5)


def test_edges_shorter_than_a_millimetre_count_as_one() -> None:
    mesh = triangle()
    tiny = Mesh(vertices=1e-6 * mesh.vertices, faces=mesh.faces)
    displacement = torch.tensor([[0.0, 0.0, 1e-3], [0, 0, 0], [0, 0, 0]])
    assert float(Stretch(tiny)(displacement)) == pytest.approx(2 / 9)


def test_the_gradient_is_twice_the_laplacian_by_hand() -> None:
    displacement = torch.tensor([[0.0, 0.0, 0.5], [0, 0, 0], [0, 0, 0]], requires_grad=True)
    Stretch(triangle())(displacement).backward()
    expected = 2 / 9 * torch.tensor([0.5 / 4 + 0.5, -0.5 / 4, -0.5])
    assert displacement.grad is not None
    torch.testing.assert_close(displacement.grad[:, 2], expected)
    assert not bool(displacement.grad[:, :2].any())


def test_an_edge_of_two_triangles_counts_once() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    square = Mesh(vertices=corners, faces=torch.tensor([[0, 1, 2], [0, 2, 3]]))
    displacement = torch.zeros(4, 3)
    displacement[2, 2] = 1.0  # at the ends of two sides and of the diagonal
    assert float(Stretch(square)(displacement)) == pytest.approx((1 + 1 + 1 / math.sqrt(2) ** 2) / 15)
