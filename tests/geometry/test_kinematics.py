import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    forward_kinematics,
    matrices_from_quats,
    multiply_quats,
    normalize_quats,
    quats_from_axis_angles,
    rotate_points,
    transform_points,
)


def random_tree(num_joints: int, seed: int = 0) -> tuple[int, ...]:
    """A tree whose joints stand in any order, the root not first."""
    generator = torch.Generator().manual_seed(seed)
    parents = [-1] + [int(torch.randint(max(0, j - 3), j, (), generator=generator)) for j in range(1, num_joints)]
    order = torch.randperm(num_joints, generator=generator).tolist()
    shuffled = dict(zip(order, (-1 if p < 0 else order[p] for p in parents), strict=True))
    return tuple(shuffled[joint] for joint in range(num_joints))


def random_inputs(*shape: int, num_joints: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    joints = torch.randn(num_joints, 3, dtype=torch.float64, generator=generator)
    quats = torch.randn(*shape, num_joints, 4, dtype=torch.float64, generator=generator)
    return joints, normalize_quats(quats), torch.randn(*shape, 3, dtype=torch.float64, generator=generator)


def one_joint_after_another(
    parents: tuple[int, ...], joints: Tensor, quats: Tensor, root_position: Tensor
) -> tuple[Tensor, Tensor]:
    rotations: dict[int, Tensor] = {}
    heads: dict[int, Tensor] = {}

    def visit(joint: int) -> None:
        parent = parents[joint]
        if joint in rotations:
            return
        local = matrices_from_quats(quats[..., joint, :])
        if parent < 0:
            rotations[joint], heads[joint] = local, root_position
            return
        visit(parent)
        rotations[joint] = rotations[parent] @ local
        heads[joint] = heads[parent] + rotations[parent] @ (joints[joint] - joints[parent])

    for joint in range(len(parents)):
        visit(joint)
    order = range(len(parents))
    return torch.stack([rotations[j] for j in order], -3), torch.stack([heads[j] for j in order], -2)


@pytest.mark.parametrize("num_joints", [1, 2, 3, 24, 104])
def test_equals_one_joint_after_another(num_joints: int):
    parents = random_tree(num_joints)
    joints, quats, root_position = random_inputs(2, num_joints=num_joints)
    posed_from_rest = forward_kinematics(parents, joints, quats, root_position)
    for frame in range(2):
        rotations, heads = one_joint_after_another(parents, joints, quats[frame], root_position[frame])
        torch.testing.assert_close(posed_from_rest[frame, :, :3, :3], rotations)
        torch.testing.assert_close(transform_points(posed_from_rest[frame], joints), heads)


def test_a_long_chain_and_no_batch():
    parents = tuple(range(-1, 69))
    joints, quats, root_position = random_inputs(num_joints=70)
    posed_from_rest = forward_kinematics(parents, joints, quats, root_position)
    rotations, heads = one_joint_after_another(parents, joints, quats, root_position)
    torch.testing.assert_close(posed_from_rest[:, :3, :3], rotations)
    torch.testing.assert_close(transform_points(posed_from_rest, joints), heads)


def test_an_elbow_by_hand():
    joints = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    quarter = quats_from_axis_angles(torch.tensor([[0.0, 0, 0], [0, 0, math.pi / 2], [0, 0, 0]]))
    posed_from_rest = forward_kinematics((-1, 0, 1), joints, quarter, torch.tensor([0.0, 0, 5]))
    expected = torch.tensor([[0.0, 0, 5], [1, 0, 5], [1, 1, 5]])  # the forearm points along y
    torch.testing.assert_close(transform_points(posed_from_rest, joints), expected)


def test_the_rest_pose_only_moves_the_root_to_its_place():
    parents, (joints, _, root_position) = random_tree(30), random_inputs(num_joints=30)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(30, 4)
    posed_from_rest = forward_kinematics(parents, joints, identity, root_position)
    shift = root_position - joints[parents.index(-1)]
    torch.testing.assert_close(transform_points(posed_from_rest, joints), joints + shift)


def test_turning_the_root_turns_the_whole_body_about_it():
    parents, (joints, quats, root_position) = random_tree(30), random_inputs(num_joints=30)
    turn = normalize_quats(torch.tensor([0.3, 0.5, -0.2, 0.7], dtype=torch.float64))
    turned = quats.clone()
    turned[parents.index(-1)] = multiply_quats(turn, quats[parents.index(-1)])
    before = transform_points(forward_kinematics(parents, joints, quats, root_position), joints)
    after = transform_points(forward_kinematics(parents, joints, turned, root_position), joints)
    torch.testing.assert_close(after, rotate_points(turn, before - root_position) + root_position)


def test_gradients_at_the_identity_and_elsewhere():
    parents = (-1, 0, 1, 1, 3)
    joints, quats, root_position = random_inputs(2, num_joints=5)
    quats[0] = torch.tensor([1.0, 0, 0, 0])
    inputs = tuple(tensor.requires_grad_() for tensor in (joints, quats, root_position))
    assert gradcheck(lambda j, q, r: forward_kinematics(parents, j, q, r), inputs)


def test_a_plan_made_without_gradients_serves_a_call_with_them():
    parents, (joints, quats, root_position) = (-1, 0, 1, 2, 2, 2), random_inputs(num_joints=6)
    with torch.inference_mode():
        forward_kinematics(parents, joints, quats, root_position)
    quats.requires_grad_()
    forward_kinematics(parents, joints, quats, root_position).sum().backward()
    assert quats.grad is not None


@pytest.mark.parametrize("parents", [(-1, 0), (0, 1, 2), (-1, -1, 0), (-1, 2, 1), (-1, 0, 7)])
def test_parents_that_are_no_tree_are_named(parents: tuple[int, ...]):
    joints, quats, root_position = random_inputs(num_joints=3)
    with pytest.raises(ValueError, match="parents: expected"):
        forward_kinematics(parents, joints, quats, root_position)
