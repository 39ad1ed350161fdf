"""Pose-dependent offsets and colours: features of poses, codes of frames, modes over the surface."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avatar.deform import Correctives, CorrectivesConfig
from avatar.deform.pose_features import PoseFeatures
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.structs import Gaussians, Mesh, Pose

FRAME_IDS = (2, 3, 5, 7, 11, 13)
SMALL = CorrectivesConfig(num_modes=3, num_control_points=40, num_features=4, hidden=8)


def correctives(tube: Mesh, poses: Pose, config: CorrectivesConfig = SMALL) -> Correctives:
    """With free codes that are not zero."""
    torch.manual_seed(0)
    made = Correctives(tube, poses, FRAME_IDS[: len(poses.local_quats)], config)
    torch.nn.init.normal_(made.codes)
    return made


def turned(pose: Pose, joint: int, axis_angle: list[float]) -> Pose:
    """One joint turned further."""
    quats = pose.local_quats.clone()
    quats[joint] = multiply_quats(quats_from_axis_angles(torch.tensor(axis_angle)), quats[joint])
    return replace(pose, local_quats=quats)


def swinging(count: int, spread: float = 0.5) -> Pose:
    """Poses that differ in one angle of one joint."""
    turns = torch.zeros(count, 12, 3)
    turns[:, 5, 0] = torch.linspace(-spread, spread, count)
    return Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.zeros(count, 3))


def straight() -> Pose:
    """No joint turned."""
    return swinging(3)[1]


def test_features_are_standardised_over_training(random_poses: Pose) -> None:
    features = PoseFeatures(random_poses, 4, 3.0)(random_poses)
    assert features.shape == (6, 4)
    torch.testing.assert_close(features.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.square().mean(0), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.T @ features, 6 * torch.eye(4), atol=1e-4, rtol=0)


def test_one_angle_is_one_feature_by_hand() -> None:
    poses = swinging(5, spread=0.4)
    features = PoseFeatures(poses, 4, 3.0)
    spread = 0.4 * math.sqrt(0.5)  # of -1, -1/2, 0, 1/2, 1
    expected = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]) * 0.4 / spread
    torch.testing.assert_close(features(poses)[:, 0].abs(), expected.abs(), atol=1e-5, rtol=0)
    torch.testing.assert_close(features(poses)[:, 1:], torch.zeros(5, 3), atol=1e-5, rtol=0)


def test_features_neither_see_heading_nor_place_nor_signs(random_poses: Pose) -> None:
    features = PoseFeatures(random_poses, 4, 3.0)
    pose = random_poses[3]
    signs = torch.tensor([1.0, -1.0]).repeat(6)[:, None]
    same = (
        turned(pose, 0, [0.0, 0.0, 2.5]),
        replace(pose, root_position_world=torch.ones(3)),
        replace(pose, local_quats=signs * pose.local_quats),
    )
    for other in same:
        torch.testing.assert_close(features(other), features(pose), atol=1e-5, rtol=0)
    assert float((features(turned(pose, 4, [0.5, 0.0, 0.0])) - features(pose)).abs().max()) > 0.1


def test_signs_of_training_quaternions_do_not_matter(random_poses: Pose) -> None:
    signs = torch.where(torch.rand(6, 12, 1, generator=torch.Generator().manual_seed(3)) < 0.5, -1.0, 1.0)
    flipped = replace(random_poses, local_quats=signs * random_poses.local_quats)
    one, other = PoseFeatures(random_poses, 4, 3.0), PoseFeatures(flipped, 4, 3.0)
    turn = (one.directions * other.directions).sum(1).sign()  # a component's sign is free
    torch.testing.assert_close(other(random_poses), one(random_poses) * turn, atol=1e-4, rtol=0)


def test_features_do_not_depend_on_where_a_joint_is_on_average(random_poses: Pose) -> None:
    """Every joint turned by a constant of its own, up to a half turn and more."""
    turns = quats_from_axis_angles(2.0 * torch.randn(12, 3, generator=torch.Generator().manual_seed(4)))
    elsewhere = replace(random_poses, local_quats=multiply_quats(turns, random_poses.local_quats))
    one, other = PoseFeatures(random_poses, 4, 3.0), PoseFeatures(elsewhere, 4, 3.0)
    turn = (one.directions * other.directions).sum(1).sign()
    torch.testing.assert_close(other(elsewhere), one(random_poses) * turn, atol=1e-4, rtol=0)


def test_features_are_limited_and_hardly_stirred_by_noise() -> None:
    features = PoseFeatures(swinging(5, spread=0.001), 4, 3.0)
    noise = turned(straight(), 5, [0.002, 0.0, 0.0])
    assert float(features(noise).abs().max()) < 0.05, "what hardly moved in training is not blown up"
    wide = PoseFeatures(swinging(5), 4, 3.0)
    assert float(wide(turned(straight(), 5, [2.0, 0.0, 0.0])).abs().max()) == SMALL.feature_limit


def test_features_pass_no_gradient(random_poses: Pose) -> None:
    pose = replace(random_poses[0], local_quats=random_poses.local_quats[0].clone().requires_grad_())
    assert not PoseFeatures(random_poses, 4, 3.0)(pose).requires_grad


@pytest.mark.parametrize("count", [1, 2, 6])
def test_few_training_frames_suffice(count: int, tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    few = Pose(
        local_quats=random_poses.local_quats[:count], root_position_world=random_poses.root_position_world[:count]
    )
    assert gaussians.binding is not None
    offsets, colors = correctives(tube, few)(random_poses[5], gaussians.binding)
    assert bool(offsets.isfinite().all() and colors.isfinite().all())


def coefficients_of(made: Correctives, poses: Pose, *frame_ids: int | None) -> Tensor:
    """Of the first training pose, as one frame or another."""
    return torch.stack([made.coefficients(replace(poses[0], frame_id=frame)) for frame in frame_ids])


def pivots(made: Correctives) -> Tensor:
    """The coefficients of the training poses."""
    return made.encoder(made.regression.known_features) + made.codes


@torch.no_grad()
def test_a_code_counts_for_its_own_frame(tube: Mesh, random_poses: Pose) -> None:
    made = correctives(tube, random_poses)
    before = coefficients_of(made, random_poses, *FRAME_IDS)
    made.codes[3] += torch.tensor([1.0, 2.0, 3.0])
    expected = torch.zeros(6, 3)
    expected[3] = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(coefficients_of(made, random_poses, *FRAME_IDS) - before, expected)


@torch.no_grad()
@pytest.mark.parametrize("frame_id", [None, 1000])
def test_an_unseen_pose_like_a_training_pose_gets_what_it_got(frame_id: int | None, tube: Mesh) -> None:
    """Nearly, where codes follow the pose; what differs between like poses is taken for noise."""
    poses = swinging(6)
    made = correctives(tube, poses)
    made.codes.copy_(made.regression.known_features[:, :1] * torch.tensor([1.0, -2.0, 0.5]) + 0.3)
    taken = pivots(made)
    largest = (taken - taken.mean(0)).norm(dim=1).max()
    for row, known in enumerate(FRAME_IDS):
        unseen, seen = (made.coefficients(replace(poses[row], frame_id=frame)) for frame in (frame_id, known))
        assert float((unseen - seen).norm() / largest) < 0.25


@torch.no_grad()
def test_a_pose_between_two_gets_a_code_between_them(tube: Mesh) -> None:
    made = correctives(tube, swinging(2))
    torch.testing.assert_close(made.coefficients(straight()), pivots(made).mean(0), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_pose_far_from_all_gets_the_mean(tube: Mesh) -> None:
    made = correctives(tube, swinging(5, spread=0.1), replace(SMALL, feature_limit=100.0))
    far = turned(straight(), 5, [3.0, 0.0, 0.0])
    torch.testing.assert_close(made.coefficients(far), pivots(made).mean(0), atol=1e-4, rtol=0)


@torch.no_grad()
def test_no_pose_gets_much_more_than_the_training_poses(tube: Mesh, random_poses: Pose) -> None:
    made = correctives(tube, random_poses)
    taken = pivots(made)
    reach = (taken - taken.mean(0)).norm(dim=1)
    for angle in torch.linspace(-3, 3, 25).tolist():
        asked = made.coefficients(turned(straight(), 5, [angle, 0.3, 0.0])) - taken.mean(0)
        assert float(asked.norm()) <= 1.5 * float(reach.max())


@torch.no_grad()
@pytest.mark.parametrize("seed", range(5))
def test_codes_of_strange_poses_stay_within_reason(seed: int, tube: Mesh, random_poses: Pose) -> None:
    """Features are cut off before all memory of training fades: no code is ever much larger than those learnt."""
    made = correctives(tube, random_poses)
    turns = 2.0 * torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
    strange = Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.zeros(3))
    code = made.coefficients(strange) - made.encoder(made.regression.features(strange))
    mean = made.codes.mean(0)
    assert float((code - mean).norm()) < 2 * float((made.codes - mean).norm(dim=1).max())


@torch.no_grad()
def test_without_modes_nothing_moves(tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    made = correctives(tube, random_poses)
    made.modes.zero_()
    assert gaussians.binding is not None
    for change in made(random_poses[0], gaussians.binding):
        assert not bool(change.any())


@torch.no_grad()
def test_a_constant_mode_is_the_same_everywhere(tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    """One unit of a mode is five centimetres and three tenths of full colour."""
    made = correctives(tube, random_poses)
    made.modes.zero_()
    made.modes[1] = torch.tensor([1.0, 0.0, -2.0, 0.0, 1.0, 0.5])
    assert gaussians.binding is not None
    amount = made.coefficients(random_poses[0])[1]
    offsets, colors = made(random_poses[0], gaussians.binding)
    torch.testing.assert_close(offsets, (amount * torch.tensor([0.05, 0.0, -0.1])).expand(200, 3))
    torch.testing.assert_close(colors, (amount * torch.tensor([0.0, 0.3, 0.15])).expand(200, 3))


@torch.no_grad()
def test_modes_are_local_and_within_their_control_values(tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    made, binding = correctives(tube, random_poses), gaussians.binding
    assert binding is not None
    made.modes.zero_()
    made.modes[0, 7, 0] = 1.0
    amount = made.coefficients(random_poses[0])[0]
    weights = made(random_poses[0], binding)[0][:, 0] / (0.05 * amount)
    distances = (gaussians.means - made.control_points[7]).norm(dim=1)
    reach = torch.cdist(gaussians.means, made.control_points).topk(4, largest=False).values[:, 3]
    assert bool(((weights >= 0) & (weights <= 1)).all())
    assert bool((weights[distances < reach - 1e-3] > 0).all())
    assert not bool(weights[distances > reach + 1e-3].any())
    assert float(weights[distances.argmin()]) == float(weights.max()) > 0.5


def test_control_points_lie_apart_on_the_surface(tube: Mesh, random_poses: Pose) -> None:
    points = correctives(tube, random_poses).control_points
    assert points.shape == (40, 3)
    radii = points[:, :2].norm(dim=1)
    assert bool(((radii > 0.04 * math.cos(math.pi / 8) - 1e-6) & (radii < 0.04 + 1e-6)).all())
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf).min()
    area_each = 2 * math.pi * 0.04 * 1.1 / 40
    assert float(apart) > 0.6 * math.sqrt(area_each)


def test_another_binding_is_seen(tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    made, binding = correctives(tube, random_poses), gaussians.binding
    assert binding is not None
    whole = made(random_poses[0], binding)[0]
    half = replace(
        binding,
        triangles=binding.triangles[::2],
        barycentrics=binding.barycentrics[::2],
        normals=binding.normals[::2],
    )
    torch.testing.assert_close(made(random_poses[0], half)[0], whole[::2])
    torch.testing.assert_close(made(random_poses[0], binding)[0], whole)


def test_gradient_reaches_every_parameter(tube: Mesh, random_poses: Pose, gaussians: Gaussians) -> None:
    made, binding = correctives(tube, random_poses), gaussians.binding
    assert binding is not None
    offsets, colors = made(replace(random_poses[0], frame_id=2), binding)
    (offsets.square().sum() + colors.square().sum()).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
    assert made.codes.grad is not None
    assert not bool(made.codes.grad[1:].any()), "other frames' codes are not asked"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_modes", -1),
        ("num_control_points", 0),
        ("num_features", 0),
        ("hidden", 0),
        ("feature_limit", 0.0),
        ("feature_limit", math.nan),
    ],
)
def test_configs_are_checked(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"CorrectivesConfig\.{field}: expected .*, got {value}"):
        CorrectivesConfig(**{field: value})
