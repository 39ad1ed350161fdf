"""What a displacement costs, by hand and by laws."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from avatar.geometry import matrices_from_axis_angles
from avatar.losses import SurfaceConfig, SurfaceTerms
from avatar.losses.surface import Creases, Stretch, ThinPlate, Umbrella
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


def hexagon() -> Mesh:
    """Six equilateral triangles of side one around vertex 0."""
    angles = torch.arange(6) * math.pi / 3
    ring = torch.stack([angles.cos(), angles.sin(), torch.zeros(6)], 1)
    faces = torch.tensor([[0, 1 + i, 1 + (i + 1) % 6] for i in range(6)])
    return Mesh(vertices=torch.cat([torch.zeros(1, 3), ring]), faces=faces)


def sphere(level: int, radius_m: float = 0.3) -> Mesh:
    ball = trimesh.creation.icosphere(level, radius_m)
    return Mesh(vertices=torch.tensor(ball.vertices).float(), faces=torch.tensor(ball.faces))


def raised(mesh: Mesh) -> Tensor:
    """Vertex 0 by a metre."""
    displacement = torch.zeros_like(mesh.vertices)
    displacement[0, 2] = 1.0
    return displacement


def test_umbrella_by_hand() -> None:
    """The middle is a metre above its neighbours; each of them is a third of that below the mean of its three."""
    assert float(Umbrella(hexagon())(raised(hexagon()))) == pytest.approx((1 + 6 / 9) / 21)


def test_thin_plate_by_hand() -> None:
    """Weights of the root of a third, six of them, over a third of the hexagon; its border is left out."""
    assert float(ThinPlate(hexagon())(raised(hexagon()))) == pytest.approx(12 / (math.sqrt(3) / 2), rel=1e-5)


def test_thin_plate_is_free_for_a_sheet_that_is_sheared() -> None:
    mesh = hexagon()
    assert float(ThinPlate(mesh)(mesh.vertices @ torch.tensor([[0.3, 0.1, 1], [0.7, -1, 0], [0, 0, 1]]))) < 1e-10


def test_an_edge_under_obtuse_corners_has_no_weight() -> None:
    """A tetrahedron pressed flat: over its long edge both corners are obtuse, so its ends do not pull at each other."""
    corners = torch.tensor([[-1.0, 0, 0], [1, 0, 0], [0, 0.2, 0.1], [0, -0.2, 0.1]])
    mesh = Mesh(vertices=corners, faces=torch.tensor([[0, 1, 2], [1, 0, 3], [1, 3, 2], [0, 2, 3]]))
    displacement = torch.zeros(4, 3, requires_grad=True)
    row = ThinPlate(mesh)._laplacian(displacement)[0, 2]
    (pull,) = torch.autograd.grad(row, displacement)
    assert float(pull[1, 2]) == 0
    assert float(pull[2, 2]) > 0


@pytest.mark.parametrize("degrees", [0, 60, 90, 180])
def test_one_fold_by_hand(degrees: int) -> None:
    """The diagonal of a unit square: 3 * 2 / 1 of one minus the cosine."""
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    square = Mesh(vertices=corners, faces=torch.tensor([[0, 1, 2], [0, 2, 3]]))
    axis = torch.tensor([1.0, 1, 0]) / math.sqrt(2)
    folded = corners.clone()
    folded[3] = matrices_from_axis_angles(math.radians(degrees) * axis) @ corners[3]
    expected = 6 * (1 - math.cos(math.radians(degrees)))
    assert float(Creases(square)(folded)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("term", [ThinPlate, Creases])
def test_bending_is_the_same_on_a_finer_and_on_a_larger_sphere(term: type[ThinPlate] | type[Creases]) -> None:
    """The Laplacian of the place on a sphere is twice the normal over the radius: 4 / r^2 * 4 pi r^2 = 16 pi."""
    coarse, fine, large = sphere(2), sphere(3), sphere(3, 1.2)
    costs = [float(term(mesh)(mesh.vertices)) for mesh in (coarse, fine, large)]
    assert costs[0] == pytest.approx(costs[1], rel=0.03)
    assert costs[1] == pytest.approx(costs[2], rel=1e-3)
    if term is ThinPlate:
        assert costs[1] == pytest.approx(16 * math.pi, rel=0.02)


@pytest.mark.parametrize("term", [Umbrella, ThinPlate])
def test_laplacians_do_not_see_a_shift_and_are_quadratic(term: type[Umbrella] | type[ThinPlate]) -> None:
    mesh, displacement = tetrahedron(), some()
    cost = float(term(mesh)(displacement))
    assert float(term(mesh)(3 * displacement + 2)) == pytest.approx(9 * cost, rel=1e-4)
    larger = Mesh(vertices=4 * mesh.vertices, faces=mesh.faces)
    assert float(term(larger)(4 * displacement)) == pytest.approx(cost, rel=1e-4)


def test_gradients_are_right() -> None:
    mesh = sphere(0)
    double = Mesh(vertices=mesh.vertices.double(), faces=mesh.faces)
    terms = SurfaceTerms(double, SurfaceConfig(stretch=1.0, umbrella=2.0, thin_plate=0.3, creases=0.2))
    displacement = 0.05 * torch.randn(12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(terms, displacement.requires_grad_())


def test_terms_are_a_weighted_sum() -> None:
    mesh, displacement = tetrahedron(), some()
    total = SurfaceTerms(mesh, SurfaceConfig(stretch=3.0, umbrella=0.5, thin_plate=0.25, creases=2.0))(displacement)
    parts = 3 * Stretch(mesh)(displacement) + 0.5 * Umbrella(mesh)(displacement)
    parts = parts + 0.25 * ThinPlate(mesh)(displacement) + 2 * Creases(mesh)(mesh.vertices + displacement)
    torch.testing.assert_close(total, parts)
    nothing = SurfaceTerms(mesh, SurfaceConfig(stretch=0.0))(displacement)
    assert float(nothing) == 0


@pytest.mark.parametrize("name", ["stretch", "umbrella", "thin_plate", "creases"])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_weights_are_checked(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"SurfaceConfig\.{name}: expected zero or more"):
        SurfaceConfig(**{name: value})
