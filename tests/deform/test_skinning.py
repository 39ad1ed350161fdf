"""Skinning of Gaussians and meshes: laws on a tube with a chain of joints, and on the default body."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.deform import Blended, DualQuaternion, Linear, Skinning
from avatar.deform import skinning as skinning_module
from avatar.deform.skinning import SkinWeights, skin, skin_mesh
from avatar.engine import Influences, Skinnable, skin_reference
from avatar.geometry import (
    dqs,
    lbs,
    matrices_from_axis_angles,
    matrices_from_quats,
    normalize_quats,
    quats_from_axis_angles,
    rigid_from_parts,
)
from avatar.structs import Binding, Body, Gaussians, Mesh, Pose

KINDS = [Linear(), DualQuaternion(), Blended(dqs_fraction=0.3)]
BodyOf = Callable[[Pose], Body]


def rest_of(gaussians: Gaussians) -> Skinnable:
    assert gaussians.binding is not None
    return Skinnable(gaussians.means, gaussians.quats, gaussians.binding.normals)


def binding_of(gaussians: Gaussians) -> Binding:
    assert gaussians.binding is not None
    return gaussians.binding


def posed(gaussians: Gaussians, body: Body, kind: Skinning) -> Skinnable:
    return skin(rest_of(gaussians), SkinWeights.of_binding(binding_of(gaussians), body), body, kind)


def matrices(quats: Tensor) -> Tensor:
    return matrices_from_quats(normalize_quats(quats))


def about(axis: list[float], angles: Tensor, joints: int) -> Pose:
    """All joints but the root turned about one axis."""
    turns = angles[:, None] * torch.tensor(axis)
    assert len(turns) == joints
    return Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.zeros(3))


def assert_moved_rigidly(after: Skinnable, before: Skinnable, turn: Tensor, shift: Tensor, atol: float = 2e-6) -> None:
    torch.testing.assert_close(after.points, before.points @ turn.T + shift, atol=atol, rtol=0)
    torch.testing.assert_close(matrices(after.quats), turn @ matrices(before.quats), atol=atol, rtol=0)
    torch.testing.assert_close(after.normals, before.normals @ turn.T, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("angle", [1e-4, 1.0, math.pi, 5.0])
def test_a_rigid_motion_of_all_joints_moves_everything_rigidly(
    kind: Skinning, angle: float, gaussians: Gaussians, body_of: BodyOf
) -> None:
    turn = angle * torch.tensor([2.0, -1.0, 2.0]) / 3
    pose = about([0.0, 0.0, 0.0], torch.zeros(12), 12)
    quats = pose.local_quats.clone()
    quats[0] = quats_from_axis_angles(turn)
    shift = torch.tensor([0.7, -3.0, 1.5])
    after = posed(gaussians, body_of(replace(pose, local_quats=quats, root_position_world=shift)), kind)
    assert_moved_rigidly(after, rest_of(gaussians), matrices_from_axis_angles(turn), shift)


@pytest.mark.parametrize("kind", KINDS)
def test_the_world_may_be_turned_before_or_after(
    kind: Skinning, gaussians: Gaussians, body_of: BodyOf, random_poses: Pose
) -> None:
    body = body_of(random_poses[2])
    for angle in (0.5, 3.0, 6.0):  # signs of quaternions change on the way
        turn = matrices_from_axis_angles(angle * torch.tensor([0.6, 0.0, 0.8]))
        shift = torch.tensor([0.1, 0.2, -0.3])
        moved = replace(body, posed_from_rest=rigid_from_parts(turn, shift) @ body.posed_from_rest)
        assert_moved_rigidly(posed(gaussians, moved, kind), posed(gaussians, body, kind), turn, shift, 4e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_pose_leaves_all_in_place(kind: Skinning, gaussians: Gaussians, body_of: BodyOf) -> None:
    body = body_of(about([0.0, 0.0, 0.0], torch.zeros(12), 12))
    assert_moved_rigidly(posed(gaussians, body, kind), rest_of(gaussians), torch.eye(3), torch.zeros(3), 3e-7)


@pytest.mark.parametrize("rig", ["anny", "cmu_mb"])
def test_a_skinned_mesh_is_the_posed_body(rig: str) -> None:
    model = load_body(rig)
    turns = 0.4 * torch.randn(len(model.parents), 3, generator=torch.Generator().manual_seed(0))
    pose = Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.tensor([1.0, 2.0, 3.0]))
    body = model(model.default_shape(), pose)
    mesh = skin_mesh(body.rest, body, Linear())
    torch.testing.assert_close(mesh.vertices, body.vertices_world, atol=3e-6, rtol=0)
    assert torch.equal(mesh.faces, body.rest.faces)


def test_both_ends_of_the_blend(tube: Mesh, body_of: BodyOf, random_poses: Pose) -> None:
    body = body_of(random_poses[0])
    linear, dual = (skin_mesh(tube, body, kind).vertices for kind in (Linear(), DualQuaternion()))
    assert float((linear - dual).norm(dim=1).max()) > 1e-4
    for fraction in (0.0, 0.25, 1.0):
        blended = skin_mesh(tube, body, Blended(dqs_fraction=fraction)).vertices
        torch.testing.assert_close(blended, linear + fraction * (dual - linear), atol=1e-6, rtol=0)


def test_dual_quaternions_are_those_of_geometry(tube: Mesh, body_of: BodyOf, random_poses: Pose) -> None:
    body = body_of(random_poses[1])
    expected = dqs(tube.vertices, body.bone_ids, body.bone_weights, body.posed_from_rest)
    torch.testing.assert_close(skin_mesh(tube, body, DualQuaternion()).vertices, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_kernel_agrees_forward_and_backward(
    kind: Skinning, gaussians: Gaussians, body_of: BodyOf, random_poses: Pose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results() -> list[Tensor]:
        local_quats = random_poses.local_quats[3].clone().requires_grad_()
        means, quats = gaussians.means.clone().requires_grad_(), gaussians.quats.clone().requires_grad_()
        body = body_of(replace(random_poses[3], local_quats=local_quats))
        out = posed(replace(gaussians, means=means, quats=quats), body, kind)
        weights = torch.Generator().manual_seed(5)
        loss = sum((t * torch.randn(t.shape, generator=weights)).sum() for t in (out.points, out.quats))
        assert isinstance(loss, Tensor)
        return [*out[:3], *torch.autograd.grad(loss, (means, quats, local_quats))]

    fused = results()
    monkeypatch.setattr(skinning_module, "engine_skin", skin_reference)
    for ours, reference in zip(fused, results(), strict=True):
        torch.testing.assert_close(ours, reference, atol=2e-5, rtol=1e-5)


def ring(height: float) -> slice:
    """Vertices of the tube at ``height`` in segments, a multiple of a quarter."""
    first = round(height * 4) * 8
    return slice(first, first + 8)


def test_a_half_turn_keeps_the_tubes_radius_only_by_dual_quaternions(tube: Mesh, body_of: BodyOf) -> None:
    angles = torch.zeros(12)
    angles[5] = math.pi
    body = body_of(about([0.0, 0.0, 1.0], angles, 12))
    radii = {
        kind: skin_mesh(tube, body, kind).vertices[ring(4.5), :2].norm(dim=1).mean().item()
        for kind in (Linear(), DualQuaternion(), Blended(dqs_fraction=0.75))
    }
    assert list(radii.values()) == pytest.approx([0.0, 0.04, 0.03], abs=1e-6)


@pytest.mark.parametrize("degrees", [50.0, -50.0, 170.0])
def test_signs_agree_between_neighbours_however_far_a_chain_turns(degrees: float, tube: Mesh, body_of: BodyOf) -> None:
    """Half way between two joints all are turned by the mean of both, after 11 joints by up to 1785 degrees."""
    step = math.radians(degrees)
    body = body_of(about([0.0, 0.0, 1.0], torch.full((12,), step), 12))
    rest = Skinnable(
        tube.vertices, torch.tensor([1.0, 0, 0, 0]).expand(len(tube.vertices), 4), torch.ones_like(tube.vertices)
    )
    out = skin(rest, SkinWeights.of_vertices(body), body, DualQuaternion())
    for lower in range(11):
        turn = matrices_from_axis_angles(torch.tensor([0.0, 0.0, (lower + 1.5) * step]))
        here = ring(lower + 0.5)
        torch.testing.assert_close(matrices(out.quats[here]), turn.expand(8, 3, 3), atol=2e-5, rtol=0)
        torch.testing.assert_close(out.normals[here], rest.normals[here] @ turn.T, atol=3e-5, rtol=0)
        torch.testing.assert_close(out.points[here], rest.points[here] @ turn.T, atol=2e-6, rtol=0)


def test_signs_of_the_poses_quaternions_do_not_matter(
    gaussians: Gaussians, body_of: BodyOf, random_poses: Pose
) -> None:
    pose = random_poses[4]
    signs = torch.tensor([1.0, -1.0]).repeat(6)[:, None]
    for kind in KINDS:
        one = posed(gaussians, body_of(pose), kind)
        other = posed(gaussians, body_of(replace(pose, local_quats=signs * pose.local_quats)), kind)
        for a, b in zip(one[:3], other[:3], strict=True):
            assert torch.equal(a, b)


def test_weights_on_a_triangle_are_its_corners(gaussians: Gaussians, body_of: BodyOf, random_poses: Pose) -> None:
    body, binding = body_of(random_poses[0]), binding_of(gaussians)
    ids, weights = SkinWeights.of_binding(binding, body).influences
    torch.testing.assert_close(weights.sum(1), torch.ones(200))
    assert bool((weights.diff(dim=1) <= 0).all()), "the strongest first"
    assert weights.shape[1] <= 3, "no triangle of the tube reaches further"
    dense = torch.zeros(200, 12).scatter_add(1, ids.long(), weights)
    heights = binding.barycentrics @ torch.ones(3, 1) * gaussians.means[:, 2:] / 0.1
    torch.testing.assert_close((dense * torch.arange(12.0)).sum(1), heights[:, 0], atol=1e-5, rtol=0)


def test_points_at_corners_move_like_the_vertices(tube: Mesh, body_of: BodyOf, random_poses: Pose) -> None:
    body = body_of(random_poses[5])
    triangles = torch.arange(0, len(tube.faces), 7)
    corner = torch.tensor([0.0, 1.0, 0.0]).expand(len(triangles), 3)
    vertices = tube.faces[triangles][:, 1]
    binding = Binding(template=tube, triangles=triangles, barycentrics=corner, normals=corner)
    rest = Skinnable(tube.vertices[vertices], torch.ones(len(triangles), 4), corner)
    for kind in KINDS:
        moved = skin(rest, SkinWeights.of_binding(binding, body), body, kind).points
        torch.testing.assert_close(moved, skin_mesh(tube, body, kind).vertices[vertices], atol=1e-6, rtol=0)


def test_unused_influences_do_nothing(tube: Mesh, body_of: BodyOf, random_poses: Pose) -> None:
    body = body_of(random_poses[5])
    ids, weights = SkinWeights.of_vertices(body).influences
    unused = torch.full_like(ids, 3)
    padded = SkinWeights(
        influences=Influences(torch.cat([ids, unused], 1), torch.cat([weights, torch.zeros_like(weights)], 1))
    )
    rest = Skinnable(tube.vertices, torch.ones(len(tube.vertices), 4), tube.vertices)
    for kind in KINDS:
        one, other = (skin(rest, w, body, kind) for w in (SkinWeights.of_vertices(body), padded))
        torch.testing.assert_close(one.points, other.points, atol=1e-7, rtol=0)
        torch.testing.assert_close(one.quats, other.quats, atol=1e-6, rtol=0)


def test_linear_is_the_mean_of_matrices(tube: Mesh, body_of: BodyOf, random_poses: Pose) -> None:
    body = body_of(random_poses[0])
    expected = lbs(tube.vertices, body.bone_ids, body.bone_weights, body.posed_from_rest)
    torch.testing.assert_close(skin_mesh(tube, body, Linear()).vertices, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_blends_are_between_zero_and_one(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"Blended\.dqs_fraction: expected 0 to 1"):
        Blended(dqs_fraction=fraction)
