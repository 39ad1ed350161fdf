"""The closest point of a mesh: against all triangles, numbers worked out by hand, signs, gradients, hostile inputs."""

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from avatar.engine import MeshTree, closest_points, closest_points_reference, set_threads
from avatar.geometry import interpolate

SEARCHES = [closest_points, closest_points_reference]


def sphere(rings: int = 12, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A bumpy closed mesh of ``4 rings (rings - 1)`` triangles around the origin, counter-clockwise from outside."""
    around = 2 * rings
    polar = torch.arange(1, rings, dtype=torch.float64)[:, None] * (torch.pi / rings)
    azimuth = torch.arange(around, dtype=torch.float64) * (2 * torch.pi / around)
    ring = torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos().expand(-1, around)], -1)
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
    vertices = torch.cat([ring.flatten(0, 1), poles])
    radii = 1 + 0.2 * torch.rand(len(vertices), 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ids = torch.arange(around * (rings - 1)).view(rings - 1, around)
    a, b, c, d = ids[:-1], ids[1:], ids[1:].roll(-1, 1), ids[:-1].roll(-1, 1)
    north, south = torch.full((around,), len(vertices) - 2), torch.full((around,), len(vertices) - 1)
    faces = [torch.stack(t, -1).flatten(0, -2) for t in ((a, b, c), (a, c, d))]
    caps = [torch.stack([north, ids[0], ids[0].roll(-1)], 1), torch.stack([south, ids[-1].roll(-1), ids[-1]], 1)]
    return torch.cat([*faces, *caps]), (vertices * radii).to(dtype)


def queries(vertices: Tensor, count: int = 500) -> Tensor:
    """Points inside, near, far away, and on vertices and the middles of edges of a mesh."""
    generator = torch.Generator().manual_seed(1)
    spread = torch.randn(count, 3, generator=generator, dtype=torch.float64).to(vertices)
    spread[::7] *= 20
    return torch.cat([spread, vertices[:40], (vertices[:40] + vertices[1:41]) / 2])


def gradients(search, faces: Tensor, vertices: Tensor, points: Tensor) -> tuple[Tensor, ...]:
    """Those of points and vertices for a fixed random loss."""
    inputs = [points.clone().requires_grad_(), vertices.clone().requires_grad_()]
    distances = search(inputs[0], MeshTree(faces, inputs[1])).distances
    weights = torch.randn(len(points), generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(points)
    return torch.autograd.grad(distances @ weights, inputs)


@pytest.mark.parametrize("rings", [2, 12])  # 8 triangles: a leaf alone; 528: three levels
def test_agrees_with_all_triangles_and_their_gradients(rings: int):
    """Where two triangles share the closest point rounding chooses the triangle, so the points are compared."""
    faces, vertices = sphere(rings)
    points = queries(vertices) if rings > 2 else queries(vertices.repeat(9, 1))
    ours, truth = (search(points, MeshTree(faces, vertices)) for search in SEARCHES)
    torch.testing.assert_close(ours.distances, truth.distances, rtol=0, atol=1e-12)
    places = [interpolate(vertices, faces[found.face_ids], found.barycentrics) for found in (ours, truth)]
    torch.testing.assert_close(*places, rtol=0, atol=1e-12)
    is_off = ours.distances.abs() > 1e-6
    torch.testing.assert_close(ours.directions[is_off], truth.directions[is_off], rtol=0, atol=1e-10)
    is_inner = is_off & (ours.barycentrics > 1e-6).all(1)
    assert int(is_inner.sum()) > 20
    assert torch.equal(ours.face_ids[is_inner], truth.face_ids[is_inner])
    for our_gradient, true_gradient in zip(
        *(gradients(search, faces, vertices, points[is_off]) for search in SEARCHES), strict=True
    ):
        torch.testing.assert_close(our_gradient, true_gradient, rtol=0, atol=1e-10 * float(true_gradient.abs().max()))


def test_float32_is_as_good_as_its_rounding():
    """Coordinates of size 1 to 60 carry errors of 1e-7 of themselves into the distance."""
    faces, vertices = sphere()
    points = queries(vertices)
    ours = closest_points(points.float(), MeshTree(faces, vertices.float()))
    truth = closest_points_reference(points, MeshTree(faces, vertices))
    torch.testing.assert_close(ours.distances.double().abs(), truth.distances.abs(), rtol=2e-7, atol=5e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_neither_threads_nor_order_nor_the_tree_change_a_bit(dtype: torch.dtype):
    faces, vertices = sphere(dtype=dtype)
    points = queries(vertices, 2000)
    posed = vertices * torch.tensor([1.0, 3.0, 0.3], dtype=dtype) + torch.sin(5 * vertices.flip(1))
    tree, refitted = MeshTree(faces, posed), MeshTree(faces, vertices)
    refitted.refit(posed)
    first = closest_points(points, tree)
    shuffle = torch.randperm(len(points), generator=torch.Generator().manual_seed(3))
    shuffled = closest_points(points[shuffle], tree)
    assert all(torch.equal(a[shuffle], b) for a, b in zip(first, shuffled, strict=True))
    for threads in (1, 2, 3):
        set_threads(threads)
        for other in (tree, refitted):
            assert all(torch.equal(a, b) for a, b in zip(first, closest_points(points, other), strict=True))
    set_threads(None)


def test_gradcheck_and_a_planted_error():
    faces, vertices = sphere(4)
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    tree = MeshTree(faces, vertices)

    def distances(points: Tensor, vertices: Tensor) -> Tensor:
        tree.refit(vertices)
        return closest_points(points, tree).distances

    inputs = (points.requires_grad_(), vertices.requires_grad_())
    assert torch.autograd.gradcheck(distances, inputs)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda p, v: distances(p, v) + (p.detach() * p).sum() * 1e-3, inputs)


@pytest.mark.parametrize("search", SEARCHES)
def test_hand_worked_triangle(search):
    """Over a right triangle with legs 4 and 3: its inside, each edge, each corner, and the two sides."""
    vertices = torch.tensor([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
    points = torch.tensor(
        [[1, 1, 2], [1, 1, -2], [2, -3, 4], [-3, 1.5, 4], [2 + 3, 1.5 + 4, 0], [-2, -1, 2], [8, -3, 0], [0, 3, 5]],
        dtype=torch.float64,
    )
    found = search(points, MeshTree(torch.tensor([[0, 1, 2]]), vertices))
    third = 1 / 3
    torch.testing.assert_close(
        found.barycentrics,
        torch.tensor(
            [
                *([[1 - 0.25 - third, 0.25, third]] * 2),
                *([0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]),
                *([1, 0, 0], [0, 1, 0], [0, 0, 1]),
            ],
            dtype=torch.float64,
        ),
    )
    expected = torch.tensor([2, -2, 5, 5, 5, 3, 5, 5], dtype=torch.float64)
    torch.testing.assert_close(found.distances, expected)
    assert found.directions[1].tolist() == [0, 0, 1]
    torch.testing.assert_close(found.directions[2], torch.tensor([0, -0.6, 0.8], dtype=torch.float64))
    assert found.face_ids.tolist() == [0] * 8


@pytest.mark.parametrize("search", SEARCHES)
def test_signs_at_an_edge_that_normals_of_one_triangle_get_wrong(search):
    """Beside a thin wedge the closest point is on its sharp edge, in front of one face and behind the other."""
    vertices = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, -0.2, -3], [0, 0.2, -3]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 2, 3], [1, 3, 2]])
    outside = torch.tensor([[0.0, 0.9, 0.01], [0.0, -0.9, 0.01], [0.0, 0.0, 0.5], [0, 1e-9, 1e-9]], dtype=torch.float64)
    inside = torch.tensor([[0.0, 0.0, -0.1], [0.0, 0.05, -2.0], [0.1, 0.0, -1.0]], dtype=torch.float64)
    tree = MeshTree(faces, vertices)
    assert bool((search(outside, tree).distances > 0).all())
    assert bool((search(inside, tree).distances < 0).all())


def test_signs_on_a_closed_mesh_agree_with_its_winding_number():
    faces, vertices = sphere()
    points = queries(vertices)[:500] * 0.7
    a, b, c = (vertices[faces][None, :, i] - points[:, None] for i in range(3))
    lengths = [x.norm(dim=2) for x in (a, b, c)]
    triple = (a * torch.linalg.cross(b, c)).sum(2)
    below = lengths[0] * lengths[1] * lengths[2]
    for x, y, length in ((a, b, lengths[2]), (b, c, lengths[0]), (c, a, lengths[1])):
        below = below + (x * y).sum(2) * length
    winding = torch.atan2(triple, below).sum(1) / (2 * torch.pi)
    signs = closest_points(points, MeshTree(faces, vertices)).distances.sign()
    assert torch.equal(signs, torch.where(winding > 0.5, -1.0, 1.0).double())


@pytest.mark.parametrize("search", SEARCHES)
def test_first_of_equally_close_triangles(search):
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]).repeat(40, 1)
    found = search(torch.tensor([[0.2, 0.2, 1.0], [3.0, 0.0, 0.0]]), MeshTree(torch.arange(120).view(40, 3), vertices))
    assert found.face_ids.tolist() == [0, 0]


@pytest.mark.parametrize("search", SEARCHES)
def test_directions_lead_to_the_closest_point_and_on_the_mesh_to_the_outside(search):
    faces, vertices = sphere()
    points = torch.cat([queries(vertices), vertices[:1] * 0])
    found = search(points, MeshTree(faces, vertices))
    places = interpolate(vertices, faces[found.face_ids], found.barycentrics)
    torch.testing.assert_close(points - found.distances[:, None] * found.directions, places, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.directions.norm(dim=1), torch.ones(len(points)).double())
    on_mesh = search(vertices[:50], MeshTree(faces, vertices))
    assert float(on_mesh.distances.abs().max()) < 1e-12
    assert bool(((on_mesh.directions * vertices[:50]).sum(1) > 0).all())


@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_not_finite_is_never_close(search):
    faces, vertices = sphere(4)
    truth = search(vertices[3:4] * 3, MeshTree(faces[~(faces == 2).any(1)], vertices))
    vertices[2] = torch.nan
    points = torch.cat([vertices[3:4] * 3, vertices[:1] * torch.nan, vertices[:1] + torch.inf, vertices[:1] * 1e200])
    found = search(points, MeshTree(faces, vertices))
    torch.testing.assert_close(found.distances[:1], truth.distances)
    assert found.face_ids[1:].tolist() == [-1] * 3
    assert found.distances[1:].tolist() == [torch.inf] * 3
    assert not found.barycentrics[1:].any()


@pytest.mark.parametrize("search", SEARCHES)
def test_no_points_no_triangles_and_triangles_without_area(search):
    faces, vertices = sphere(4)
    assert search(vertices[:0], MeshTree(faces, vertices)).face_ids.shape == (0,)
    assert search(vertices[:2], MeshTree(faces[:0], vertices)).face_ids.tolist() == [-1, -1]
    flat = torch.tensor([[0.0, 0, 0], [2, 0, 0], [1, 0, 0]], dtype=torch.float64)
    found = search(
        torch.tensor([[1.5, 2, 0], [9, 0, 0]]).double(), MeshTree(torch.tensor([[0, 1, 2], [0, 0, 0]]), flat)
    )
    torch.testing.assert_close(found.distances.abs(), torch.tensor([2.0, 7.0]).double())


def test_update_rebuilds_when_neighbours_part():
    faces, vertices = sphere()
    tree = MeshTree(faces, vertices)
    assert not tree.update(vertices * 5 + 1)
    scattered = vertices[torch.randperm(len(vertices), generator=torch.Generator().manual_seed(0))]
    corners = scattered[faces].flatten(0, 1)
    soup = MeshTree(torch.arange(len(corners)).view(-1, 3), vertices[faces].flatten(0, 1))
    assert soup.update(corners + torch.arange(len(corners))[:, None] // 3 % 5)


@pytest.mark.parametrize("search", SEARCHES)
def test_wrong_inputs_are_named(search):
    faces, vertices = sphere(4)
    tree = MeshTree(faces, vertices)
    with pytest.raises(ValueError, match=r"expected torch.float64 on cpu like the tree's vertices, got torch.float32"):
        search(torch.zeros(2, 3), tree)
    with pytest.raises(ValueError, match="vertices 0 to 1, got 0 to"):
        MeshTree(faces, vertices[:2])
    with pytest.raises(ValueError, match=r"expected \(\d+, 3\) torch.float64 as before"):
        tree.refit(vertices.float())
