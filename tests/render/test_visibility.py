"""Which vertices a camera sees: two squares, one before the other."""

import pytest
import torch
from torch import Tensor

from avatar.geometry import look_at
from avatar.render import visible_cosines
from avatar.structs import Camera

FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def square(y: float, size: float) -> Tensor:
    """Faces -y."""
    x = torch.tensor([-1.0, 1.0, 1.0, -1.0]) * size
    z = torch.tensor([-1.0, -1.0, 1.0, 1.0]) * size
    return torch.stack([x, torch.full((4,), y), z], 1)


def seen_from(eye: list[float], vertices: Tensor, faces: Tensor) -> Tensor:
    intrinsics = torch.tensor([[200.0, 0, 100], [0, 200, 100], [0, 0, 1]])
    camera_from_world = look_at(torch.tensor(eye), torch.zeros(3), torch.tensor([0.0, 0, 1]))
    camera = Camera(name="c", camera_from_world=camera_from_world, intrinsics_px=intrinsics, height=200, width=200)
    return visible_cosines(vertices, faces, camera)


def test_what_faces_the_camera_is_seen_at_its_angle() -> None:
    cosines = seen_from([0.0, -4.0, 0.0], square(0.0, 0.5), FACES)
    assert cosines.tolist() == pytest.approx([4 / (16 + 0.5) ** 0.5] * 4, rel=1e-5)


def test_a_back_is_not_seen() -> None:
    assert not seen_from([0.0, 4.0, 0.0], square(0.0, 0.5), FACES).any()


def test_what_is_behind_is_not_seen() -> None:
    vertices = torch.cat([square(-0.5, 0.5), square(0.5, 0.3)])
    cosines = seen_from([0.0, -4.0, 0.0], vertices, torch.cat([FACES, FACES + 4]))
    assert (cosines > 0).tolist() == [True] * 4 + [False] * 4


def test_grazing_looks_and_looks_beside_do_not_count() -> None:
    assert not seen_from([4.0, -0.2, 0.0], square(0.0, 0.5), FACES).any()
    assert not seen_from([0.0, -4.0, 0.0], square(0.0, 0.5) + torch.tensor([9.0, 0, 0]), FACES).any()
