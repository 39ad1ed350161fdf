"""The rig as a function: its derivatives, and steps there and back."""

import torch

from avatar.geometry import transform_points
from avatar.prepare.rig_model import NUM_FREEDOMS, RigModel

from .rig import person, ring, seen


def disturbed(count: int) -> RigModel:
    generator = torch.Generator().manual_seed(0)
    return RigModel.of(ring(count)).moved(
        0.05 * torch.randn(count, NUM_FREEDOMS, generator=generator, dtype=torch.float64)
    )


def test_projection_is_the_house_cameras():
    cameras, points = ring(3), person(1)
    expected = seen(cameras, points)[0]
    torch.testing.assert_close(RigModel.of(cameras).project(points[0]), expected)
    back = RigModel.of(cameras).cameras(cameras)
    torch.testing.assert_close(back[1].camera_from_world, cameras[1].camera_from_world)
    torch.testing.assert_close(back[1].intrinsics_px, cameras[1].intrinsics_px)


def test_derivatives_are_autograds():
    rig, points = disturbed(3), person(1)[0, :6]
    by_camera, by_point = rig.jacobians(points)
    step = torch.zeros(3, NUM_FREEDOMS, dtype=torch.float64)
    numeric = torch.func.jacrev(lambda step: rig.moved(step).project(points))(step)
    torch.testing.assert_close(torch.einsum("cnrci->cnri", numeric), by_camera)
    numeric = torch.func.jacrev(rig.project)(points)
    torch.testing.assert_close(torch.einsum("cnrni->cnri", numeric), by_point)


def test_changes_undo_steps():
    start = disturbed(4)
    step = torch.linspace(-0.2, 0.2, 4 * NUM_FREEDOMS, dtype=torch.float64).reshape(4, NUM_FREEDOMS)
    torch.testing.assert_close(start.moved(step).changes(start), step, atol=1e-6, rtol=0)


def test_a_shift_is_of_the_camera():
    """In the camera's own axes, to the negative: points move by it."""
    cameras = ring(2)
    rig = RigModel.of(cameras)
    step = torch.zeros(2, NUM_FREEDOMS, dtype=torch.float64)
    step[0, 3:6] = torch.tensor([0.1, 0.2, 0.3])
    moved = rig.moved(step).cameras(cameras)[0]
    point = torch.tensor([[0.2, 0.1, 1.0]])
    offset = transform_points(moved.camera_from_world, point) - transform_points(cameras[0].camera_from_world, point)
    torch.testing.assert_close(offset, torch.tensor([[0.1, 0.2, 0.3]]), atol=1e-6, rtol=0)
