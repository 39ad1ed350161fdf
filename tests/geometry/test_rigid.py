import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    dual_quats_from_rigid,
    invert_rigid,
    matrices_from_axis_angles,
    rigid_from_dual_quats,
    rigid_from_parts,
    transform_directions,
    transform_points,
    translations_from_dual_quats,
)


def random_rigid(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(2, *shape, 3, dtype=torch.float64, generator=generator)
    return rigid_from_parts(matrices_from_axis_angles(2 * parts[0]), parts[1])


def test_parts_land_where_they_belong():
    rotation, translation = matrices_from_axis_angles(torch.tensor([0.1, 0.2, 0.3])), torch.tensor([4.0, 5.0, 6.0])
    rigid = rigid_from_parts(rotation, translation)
    assert torch.equal(rigid[:3, :3], rotation)
    assert rigid[:, 3].tolist() == [4, 5, 6, 1]
    assert rigid[3].tolist() == [0, 0, 0, 1]
    assert rigid_from_parts(rotation, translation.expand(2, 5, 3)).shape == (2, 5, 4, 4)


def test_inverse_and_composition():
    world_from_camera, camera_from_body = random_rigid(5, seed=1), random_rigid(5, seed=2)
    points = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(invert_rigid(world_from_camera), torch.linalg.inv(world_from_camera))
    chained = transform_points(world_from_camera, transform_points(camera_from_body, points))
    torch.testing.assert_close(chained, transform_points(world_from_camera @ camera_from_body, points))


def test_points_pair_with_transforms_and_directions_do_not_move():
    transforms = random_rigid(2, 5)
    points = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    moved = transform_points(transforms, points)
    assert moved.shape == (2, 5, 3)
    torch.testing.assert_close(moved[1, 3], transforms[1, 3, :3, :3] @ points[3] + transforms[1, 3, :3, 3])
    torch.testing.assert_close(transform_points(transforms[1, 3], points)[3], moved[1, 3])
    torch.testing.assert_close(
        transform_directions(transforms, points), moved - transform_points(transforms, torch.zeros_like(points))
    )


def test_dual_quaternions_hold_the_same_transform():
    transforms = random_rigid(3, 40)
    dual_quats = dual_quats_from_rigid(transforms)
    torch.testing.assert_close(rigid_from_dual_quats(dual_quats), transforms)
    torch.testing.assert_close(rigid_from_dual_quats(-dual_quats), transforms)
    torch.testing.assert_close(translations_from_dual_quats(dual_quats), transforms[..., :3, 3])
    real, dual = dual_quats.unflatten(-1, (2, 4)).unbind(-2)
    torch.testing.assert_close((real * dual).sum(-1), torch.zeros(3, 40, dtype=torch.float64), atol=1e-14, rtol=0)


def test_gradients():
    transforms = random_rigid(4).requires_grad_()
    points = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(transform_points, (transforms, points))
    assert gradcheck(lambda t: rigid_from_dual_quats(dual_quats_from_rigid(t)), transforms)
    assert gradcheck(invert_rigid, transforms)
