"""Normals in colours, of surfaces whose normals are known."""

import math

import pytest
import torch
import trimesh

from avatar.geometry import look_at, matrices_from_axis_angles
from avatar.render import normal_map
from avatar.structs import Camera, Mesh

AHEAD = Camera(
    camera_from_world=look_at(torch.tensor([0.0, -4, 0]), torch.zeros(3), torch.tensor([0.0, 0, 1])),
    intrinsics_px=torch.tensor([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]]),
    height=64,
    width=64,
)


def ball() -> Mesh:
    mesh = trimesh.creation.icosphere(4, 1.0)
    return Mesh(vertices=torch.tensor(mesh.vertices).float(), faces=torch.tensor(mesh.faces))


def test_a_ball_is_blue_in_the_middle_red_at_the_right_and_green_above() -> None:
    image = normal_map(ball(), AHEAD)
    torch.testing.assert_close(image[32, 32], torch.tensor([0.5, 0.5, 1.0]), atol=0.03, rtol=0)
    right, top = image[32, 54], image[10, 32]
    assert float(right[0]) > 0.8 > 0.6 > float(right[1])
    assert float(top[1]) > 0.8 > 0.6 > float(top[0])
    assert not bool(image[0, 0].any()), "nothing is black"


@pytest.mark.parametrize("degrees", [0, 30, -50])
def test_a_tilted_card_has_one_colour(degrees: int) -> None:
    """Turned about the vertical it faces the right by the sine and the camera by the cosine."""
    corners = torch.tensor([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    turn = matrices_from_axis_angles(torch.tensor([0.0, 0, math.radians(degrees)]))
    card = Mesh(vertices=corners @ turn.T, faces=torch.tensor([[0, 1, 2], [0, 2, 3]]))
    angle = math.radians(degrees)
    expected = torch.tensor([0.5 + 0.5 * math.sin(angle), 0.5, 0.5 + 0.5 * math.cos(angle)])
    torch.testing.assert_close(normal_map(card, AHEAD)[24:40, 24:40], expected.expand(16, 16, 3), atol=1e-5, rtol=0)
