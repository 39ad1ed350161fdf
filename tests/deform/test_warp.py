"""Laws of the ways from posed to canonical space, on a tube with a chain of joints."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.deform import TriangleAffine, VertexBlend, Warp
from avatar.engine import ClosestPoints, MeshTree, closest_points
from avatar.geometry import (
    interior_edges,
    interpolate,
    lbs,
    matrices_from_axis_angles,
    rigid_from_parts,
    sample_surface,
)
from avatar.structs import Body, Mesh, Pose, Warped

KINDS = [VertexBlend(), TriangleAffine(reach=(-20.0, 21.0))]
BodyOf = Callable[[Pose], Body]


@pytest.fixture(scope="module")
def canonical(body_of: BodyOf, random_poses: Pose) -> Body:
    pose = random_poses[5]
    return body_of(replace(pose, root_position_world=torch.zeros(3)))


@pytest.fixture(scope="module")
def posed(body_of: BodyOf, random_poses: Pose) -> Body:
    return body_of(random_poses[1])


def near(body: Body, distance_m: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    faces = body.rest.faces
    triangles, barycentrics = sample_surface(body.vertices_world, faces, 500, generator)
    on_surface = interpolate(body.vertices_world, faces[triangles], barycentrics)
    return on_surface + distance_m * torch.randn(500, 3, generator=generator)


def found(body: Body, points: Tensor) -> ClosestPoints:
    return closest_points(points, MeshTree(body.rest.faces, body.vertices_world))


def warped(kind: Warp, canonical: Body, body: Body, points: Tensor) -> Warped:
    return kind.warped(kind.table(canonical, body), body.rest.faces, points, found(body, points))


@pytest.mark.parametrize("kind", KINDS)
def test_the_posed_surface_goes_back_to_the_canonical_one(kind: Warp, canonical: Body, posed: Body) -> None:
    faces = posed.rest.faces
    triangles, barycentrics = sample_surface(posed.vertices_world, faces, 500, torch.Generator().manual_seed(3))
    points, expected = (interpolate(body.vertices_world, faces[triangles], barycentrics) for body in (posed, canonical))
    back = warped(kind, canonical, posed, points)
    torch.testing.assert_close(back.points, expected, atol=2e-6, rtol=0)
    at_vertices = warped(kind, canonical, posed, posed.vertices_world)
    torch.testing.assert_close(at_vertices.points, canonical.vertices_world, atol=2e-6, rtol=0)
    assert bool(back.is_valid.all() & at_vertices.is_valid.all())


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_canonical_pose_nothing_moves(kind: Warp, canonical: Body) -> None:
    points = near(canonical, 0.02)
    there = warped(kind, canonical, canonical, points)
    torch.testing.assert_close(there.points, points, atol=1e-6, rtol=0)
    torch.testing.assert_close(there.linear, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rigid_motion_of_the_body_leaves_canonical_points(kind: Warp, canonical: Body, posed: Body) -> None:
    turn, shift = matrices_from_axis_angles(torch.tensor([0.4, -1.0, 2.0])), torch.tensor([0.5, -0.4, 0.3])
    moved = replace(posed, posed_from_rest=rigid_from_parts(turn, shift) @ posed.posed_from_rest)
    points = near(posed, 0.01)
    held, faces = found(posed, points), posed.rest.faces  # which triangle is closest to a place above an edge may flip
    one = kind.warped(kind.table(canonical, posed), faces, points, held)
    other = kind.warped(kind.table(canonical, moved), faces, points @ turn.T + shift, held)
    torch.testing.assert_close(other.points, one.points, atol=5e-6, rtol=0)
    torch.testing.assert_close(other.linear @ turn, one.linear, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_is_the_derivative_with_the_closest_point_held(kind: Warp, canonical: Body, posed: Body) -> None:
    points = near(posed, 0.02)
    held, table, faces = found(posed, points), kind.table(canonical, posed), posed.rest.faces
    here = kind.warped(table, faces, points, held)
    for axis in range(3):
        step = torch.zeros(3)
        step[axis] = 0.01
        ahead, behind = (kind.warped(table, faces, points + sign * step, held).points for sign in (1, -1))
        torch.testing.assert_close((ahead - behind) / 0.02, here.linear[:, :, axis], atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_another_shape_maps_vertices_on_vertices(kind: Warp, canonical: Body, posed: Body) -> None:
    swollen = posed.rest.vertices * torch.tensor([1.4, 1.2, 1.0]) + torch.tensor([0.0, 0.01, 0.0])
    other = replace(posed, rest=replace(posed.rest, vertices=swollen))
    back = warped(kind, canonical, other, other.vertices_world)
    torch.testing.assert_close(back.points, canonical.vertices_world, atol=2e-6, rtol=0)


def test_what_a_vertex_carries_along_comes_back(canonical: Body, posed: Body) -> None:
    """Skinned with the weights of vertex ``i``, which is held to be the closest: inverse and forward skinning agree."""
    rest = posed.rest.vertices + 0.05 * torch.randn(
        len(posed.rest.vertices), 3, generator=torch.Generator().manual_seed(1)
    )
    there, expected = (lbs(rest, b.bone_ids, b.bone_weights, b.posed_from_rest) for b in (posed, canonical))
    held = found(posed, posed.vertices_world)
    back = VertexBlend().warped(VertexBlend().table(canonical, posed), posed.rest.faces, there, held)
    torch.testing.assert_close(back.points, expected, atol=3e-6, rtol=0)


def test_the_triangle_map_is_the_two_point_mapping(canonical: Body, posed: Body) -> None:
    """fields of coordinates and height by normal equations, one triangle at a time, in double precision."""
    points = near(posed, 0.02)
    ids = found(posed, points).face_ids
    (p, q, r), (p_c, q_c, r_c) = (b.vertices_world.double()[b.rest.faces[ids]].unbind(1) for b in (posed, canonical))
    edges, edges_c = torch.stack([q - p, r - p], 2), torch.stack([q_c - p_c, r_c - p_c], 2)
    normals, normals_c = (torch.linalg.cross(e[..., 0], e[..., 1]) for e in (edges, edges_c))
    normals, normals_c = (n / n.norm(dim=1, keepdim=True) for n in (normals, normals_c))
    offsets = points.double() - p
    heights = (offsets * normals).sum(1, keepdim=True)
    flat = (offsets - heights * normals)[..., None]
    along = torch.linalg.solve(edges.mT @ edges, edges.mT @ flat)
    expected = p_c + (edges_c @ along)[..., 0] + heights * normals_c
    back = warped(TriangleAffine(reach=(-4.0, 5.0), max_height_m=0.03), canonical, posed, points)
    torch.testing.assert_close(back.points.double(), expected, atol=1e-5, rtol=1e-4)
    is_valid = ((along >= -4) & (along <= 5)).flatten(1).all(1) & (heights[:, 0].abs() <= 0.03)
    assert torch.equal(back.is_valid, is_valid)
    assert 0 < int(is_valid.sum()) < 500


def test_only_a_vertex_blend_is_the_same_from_both_triangles_of_an_edge(canonical: Body, posed: Body) -> None:
    faces = posed.rest.faces
    ends, pairs = interior_edges(faces)
    middles = posed.vertices_world[ends].mean(1)
    points = middles + 0.01 * torch.randn(middles.shape, generator=torch.Generator().manual_seed(0))
    gaps = {}
    for kind in KINDS:
        table, places = kind.table(canonical, posed), []
        for triangles in pairs.unbind(1):
            barycentrics = 0.5 * (faces[triangles][:, :, None] == ends[:, None]).any(2)
            held = ClosestPoints(triangles, barycentrics, points.new_zeros(len(points)), points)
            places.append(kind.warped(table, faces, points, held).points)
        gaps[kind] = float((places[0] - places[1]).norm(dim=1).max())
    assert gaps[KINDS[0]] < 1e-6
    assert gaps[KINDS[1]] > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_poses_and_maps_get_gradients(kind: Warp, canonical: Body, posed: Body) -> None:
    shift = torch.zeros(3, requires_grad=True)
    moved = replace(posed, posed_from_rest=rigid_from_parts(torch.eye(3), shift) @ posed.posed_from_rest)
    points = near(posed, 0.01)
    back = kind.warped(kind.table(canonical, moved), posed.rest.faces, points, found(posed, points))
    (gradient,) = torch.autograd.grad(back.points.sum(), shift)
    torch.testing.assert_close(gradient, -back.linear.sum((0, 1)), atol=2e-3, rtol=1e-4)


def test_no_surface_is_nowhere_near(canonical: Body, posed: Body, tube: Mesh) -> None:
    points = torch.tensor([[torch.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for kind in KINDS:
        assert warped(kind, canonical, posed, points).is_valid.tolist()[0] is False
        empty = warped(kind, canonical, posed, points[:0])
        assert empty.points.shape == (0, 3)
    assert len(tube.faces)


@pytest.mark.parametrize("reach", [(0.1, 2.0), (-1.0, 0.9), (float("nan"), 2.0)])
def test_a_triangle_reaches_itself(reach: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"TriangleAffine\.reach: expected to hold 0 to 1"):
        TriangleAffine(reach=reach)


@pytest.mark.parametrize("height", [0.0, -1.0, float("nan")])
def test_heights_are_positive(height: float) -> None:
    with pytest.raises(ValueError, match=r"TriangleAffine\.max_height_m: expected a positive number"):
        TriangleAffine(max_height_m=height)
