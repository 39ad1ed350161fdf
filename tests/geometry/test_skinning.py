import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    blend_dual_quats,
    blend_rotations,
    blend_transforms,
    dqs,
    inverse_lbs,
    lbs,
    lbs_dqs_blend,
    matrices_from_axis_angles,
    matrices_from_quats,
    normalize_quats,
    quats_from_axis_angles,
    rigid_from_parts,
    rotate_points,
    skinning,
    transform_points,
)

HALF = torch.tensor(0.5, dtype=torch.float64)


def half_and_half(points: Tensor, bone_ids: Tensor, bone_weights: Tensor, posed_from_rest: Tensor) -> Tensor:
    return lbs_dqs_blend(points, bone_ids, bone_weights, posed_from_rest, HALF.expand(len(points)))


METHODS = [lbs, dqs, half_and_half]


def random_rig(
    num_points: int = 60, num_joints: int = 9, influences: int = 4, batch: tuple[int, ...] = (), angle: float = 0.5
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points, bone ids, bone weights and transforms of joints that turn by about ``angle`` and move a little."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(num_points, influences, dtype=torch.float64, generator=generator)
    weights[::3, -1] = 0.0  # an unused entry
    ids = torch.rand(num_points, num_joints, generator=generator).argsort(1)[:, :influences]
    parts = torch.randn(2, *batch, num_joints, 3, dtype=torch.float64, generator=generator)
    posed_from_rest = rigid_from_parts(matrices_from_axis_angles(angle * parts[0]), 0.3 * parts[1])
    points = torch.randn(num_points, 3, dtype=torch.float64, generator=generator)
    return points, ids, weights / weights.sum(1, keepdim=True), posed_from_rest


def twisted_tube(angle: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The middle ring, radius 1, of a tube along z: its two joints share it evenly, one turned by ``angle`` about z."""
    around = torch.linspace(0, 2 * math.pi, 13, dtype=torch.float64)[:-1]
    ring = torch.stack([around.cos(), around.sin(), torch.zeros_like(around)], dim=-1)
    twist = matrices_from_axis_angles(torch.tensor([[0.0, 0, 0], [0, 0, angle]], dtype=torch.float64))
    ids = torch.tensor([0, 1]).expand(12, 2)
    return ring, ids, HALF.expand(12, 2), rigid_from_parts(twist, torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("method", METHODS)
def test_one_rigid_motion_of_all_joints_moves_every_point_rigidly(method: Callable[..., Tensor]):
    points, ids, weights, _ = random_rig(batch=(2,), angle=2.0)
    motion = random_rig(batch=(2,), angle=2.0)[3][:, :1]
    expected = transform_points(motion, points)
    torch.testing.assert_close(method(points, ids, weights, motion.expand(2, 9, 4, 4)), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_skinning_does_not_depend_on_where_the_world_begins(method: Callable[..., Tensor]):
    points, ids, weights, posed = random_rig()
    eye = torch.eye(3, dtype=torch.float64)
    shift = torch.tensor([10.0, -20.0, 5.0], dtype=torch.float64)
    there, back = rigid_from_parts(eye, shift), rigid_from_parts(eye, -shift)
    moved = method(points + shift, ids, weights, there @ posed @ back)
    torch.testing.assert_close(moved - shift, method(points, ids, weights, posed), atol=1e-12, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_point_of_one_joint_moves_with_it(method: Callable[..., Tensor]):
    points, ids, weights, posed = random_rig()
    alone = torch.zeros_like(weights)
    alone[:, 1] = 1.0
    torch.testing.assert_close(method(points, ids, alone, posed), transform_points(posed[ids[:, 1]], points))


@pytest.mark.parametrize("method", [*METHODS, inverse_lbs])
@pytest.mark.parametrize("needs_gradient", [False, True])
def test_batches_of_poses_are_poses_one_by_one(method: Callable[..., Tensor], needs_gradient: bool):
    points, ids, weights, posed = random_rig(batch=(3, 2))
    moved = method(points, ids, weights, posed.requires_grad_(needs_gradient))
    assert moved.shape == (3, 2, 60, 3)
    torch.testing.assert_close(moved[2, 1], method(points, ids, weights, posed[2, 1].detach()), atol=1e-13, rtol=0)


def test_points_may_differ_from_pose_to_pose():
    points, ids, weights, posed = random_rig(batch=(2,))
    moved = lbs(torch.stack([points, 2 * points]), ids, weights, posed)
    torch.testing.assert_close(moved[1], lbs(2 * points, ids, weights, posed[1]))


def test_lbs_by_its_definition():
    points, ids, weights, posed = random_rig()
    each = transform_points(posed[ids], points[:, None])
    torch.testing.assert_close(lbs(points, ids, weights, posed), (weights[..., None] * each).sum(1))
    blended = blend_transforms(ids, weights, posed)
    torch.testing.assert_close(blended, (weights[..., None, None] * posed[ids][..., :3, :]).sum(1))


def test_inverse_lbs_undoes_lbs():
    points, ids, weights, posed = random_rig(batch=(2,))
    posed_points = lbs(points, ids, weights, posed)
    back = inverse_lbs(posed_points, ids, weights, posed)
    torch.testing.assert_close(back, points.expand(2, -1, -1), atol=1e-11, rtol=0)


def test_inverse_lbs_stays_finite_where_lbs_collapses():
    ring, ids, weights, posed = twisted_tube(math.pi)
    assert inverse_lbs(lbs(ring, ids, weights, posed), ids, weights, posed).isfinite().all()


def test_a_half_turn_collapses_under_lbs_and_keeps_its_radius_under_dqs():
    radii = {method: method(*twisted_tube(math.pi)).norm(dim=-1) for method in METHODS}
    torch.testing.assert_close(radii[lbs], torch.zeros(12, dtype=torch.float64), atol=1e-15, rtol=0)
    torch.testing.assert_close(radii[dqs], torch.ones(12, dtype=torch.float64), atol=1e-15, rtol=0)
    torch.testing.assert_close(radii[half_and_half], HALF.expand(12), atol=1e-15, rtol=0)


def test_dqs_halves_the_angle_of_an_even_twist():
    ring, ids, weights, posed = twisted_tube(2.4)
    half = quats_from_axis_angles(torch.tensor([0.0, 0, 1.2], dtype=torch.float64))
    torch.testing.assert_close(dqs(ring, ids, weights, posed), rotate_points(half, ring))
    torch.testing.assert_close(blend_rotations(ids, weights, posed), half.expand(12, 4))


def test_the_fraction_goes_from_lbs_to_dqs_point_by_point():
    points, ids, weights, posed = random_rig()
    fraction = torch.linspace(0, 1, len(points), dtype=torch.float64)
    mixed = lbs_dqs_blend(points, ids, weights, posed, fraction)
    linear, dual = lbs(points, ids, weights, posed), dqs(points, ids, weights, posed)
    torch.testing.assert_close(mixed, linear + fraction[:, None] * (dual - linear))
    assert torch.equal(mixed[0], linear[0])


def test_the_sign_of_a_joints_quaternion_means_nothing(monkeypatch: pytest.MonkeyPatch):
    points, ids, weights, posed = random_rig(angle=2.0)
    expected, rotations = dqs(points, ids, weights, posed), blend_rotations(ids, weights, posed)
    signs = torch.tensor([1.0, -1, 1, 1, -1, -1, 1, -1, 1], dtype=torch.float64)[:, None]
    of_rigid, of_matrices = skinning.dual_quats_from_rigid, skinning.quats_from_matrices
    monkeypatch.setattr(skinning, "dual_quats_from_rigid", lambda transforms: signs * of_rigid(transforms))
    monkeypatch.setattr(skinning, "quats_from_matrices", lambda matrices: signs * of_matrices(matrices))
    torch.testing.assert_close(dqs(points, ids, weights, posed), expected, atol=1e-14, rtol=0)
    turned = matrices_from_quats(blend_rotations(ids, weights, posed))
    torch.testing.assert_close(turned, matrices_from_quats(rotations), atol=1e-14, rtol=0)


def test_blended_rotations_are_those_of_dqs_and_unit():
    _, ids, weights, posed = random_rig(batch=(2,))
    dual_quats = blend_dual_quats(ids, weights, posed)
    rotations = blend_rotations(ids, weights, posed)
    torch.testing.assert_close(rotations, dual_quats[..., :4])
    torch.testing.assert_close(normalize_quats(rotations), rotations)


@pytest.mark.parametrize("method", [*METHODS, inverse_lbs])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_gradients_to_points_weights_and_transforms(method: Callable[..., Tensor], angle: float):
    points, ids, weights, posed = random_rig(num_points=5, num_joints=5, batch=(2,), angle=angle)
    inputs = tuple(tensor.requires_grad_() for tensor in (points, weights, posed))
    assert gradcheck(lambda p, w, t: method(p, ids, w, t), inputs)


def test_gradients_stay_finite_at_the_half_turn():
    ring, ids, weights, posed = twisted_tube(math.pi)
    posed.requires_grad_()
    dqs(ring, ids, weights, posed).sum().backward()
    assert posed.grad is not None
    assert posed.grad.isfinite().all()
