import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian

from avatar.geometry import look_at, project, projection_jacobian, transform_directions, transform_points, unproject

INTRINSICS = torch.tensor([[500.0, 2.0, 320.5], [0, 480.0, 240.5], [0, 0, 1]], dtype=torch.float64)


def random_points(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, 3, dtype=torch.float64, generator=generator) + torch.tensor([0.0, 0, 5])


def test_a_point_by_hand():
    intrinsics = torch.tensor([[100.0, 0, 50], [0, 200, 40], [0, 0, 1]])
    pixels, depths = project(torch.tensor([[0.0, 0, 3], [1, -1, 4]]), intrinsics)
    torch.testing.assert_close(pixels, torch.tensor([[50.0, 40], [75, -10]]))
    torch.testing.assert_close(depths, torch.tensor([3.0, 4]))


def test_unproject_undoes_project():
    points = random_points(4, 5)
    torch.testing.assert_close(unproject(*project(points, INTRINSICS), INTRINSICS), points)


def test_the_jacobian_is_that_of_autograd():
    points = random_points(6)
    expected = torch.stack([jacobian(lambda p: project(p, INTRINSICS)[0], point) for point in points])
    torch.testing.assert_close(projection_jacobian(points, INTRINSICS), expected)
    assert projection_jacobian(random_points(2, 6), INTRINSICS).shape == (2, 6, 2, 3)


def test_look_at_sees_the_target_in_the_middle_and_up_upwards():
    eye, target = torch.tensor([3.0, -4, 2], dtype=torch.float64), torch.tensor([0.5, 0.2, 1], dtype=torch.float64)
    up = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    camera_from_world = look_at(eye, target, up)
    rotation = camera_from_world[:3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.tensor(1.0, dtype=torch.float64))
    seen = transform_points(camera_from_world, torch.stack([eye, target]))
    distance = float((target - eye).norm())
    torch.testing.assert_close(seen, torch.tensor([[0.0, 0, 0], [0, 0, distance]], dtype=torch.float64))
    up_camera = transform_directions(camera_from_world, up)
    assert up_camera[1] < 0  # image rows grow downwards
    torch.testing.assert_close(up_camera[0], torch.tensor(0.0, dtype=torch.float64), atol=1e-15, rtol=0)


def test_look_at_by_hand():
    camera_from_world = look_at(torch.tensor([0.0, -2, 0]), torch.zeros(3), torch.tensor([0.0, 0, 1]))
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 2], [0, 0, 0, 1]])
    torch.testing.assert_close(camera_from_world, expected)


def test_look_at_takes_orbits():
    eyes = random_points(2, 7)
    assert look_at(eyes, torch.zeros(3).double(), torch.tensor([0.0, 0, 1]).double()).shape == (2, 7, 4, 4)


@pytest.mark.parametrize("eye", [[0.0, 0, 0], [0.0, 0, 3]])
def test_look_at_without_a_direction_is_refused(eye: list[float]):
    with pytest.raises(ValueError, match="look_at"):
        look_at(torch.tensor(eye), torch.zeros(3), torch.tensor([0.0, 0, 1]))


def test_gradients():
    points = random_points(3).requires_grad_()
    intrinsics = INTRINSICS.clone().requires_grad_()
    assert gradcheck(project, (points, intrinsics))
    assert gradcheck(projection_jacobian, (points, intrinsics))
    assert gradcheck(lambda p: look_at(p, p.new_zeros(3), p.new_tensor([0.0, 1, 0])), points)
