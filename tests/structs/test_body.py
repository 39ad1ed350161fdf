import torch

from avatar.geometry import forward_kinematics, normalize_quats
from avatar.structs import Body, Mesh, Pose

PARENTS = (-1, 0, 1)
JOINTS = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])


def body(local_quats: torch.Tensor, root_position_world: torch.Tensor) -> Body:
    """A rod of three joints along z, with a square of vertices about each joint."""
    corners = torch.tensor([[0.1, 0.1, 0], [-0.1, 0.1, 0], [-0.1, -0.1, 0], [0.1, -0.1, 0]])
    return Body(
        pose=Pose(local_quats=local_quats, root_position_world=root_position_world),
        rest=Mesh(vertices=(JOINTS[:, None] + corners).flatten(0, 1), faces=torch.tensor([[0, 1, 2]])),
        parents=PARENTS,
        joints_rest=JOINTS,
        posed_from_rest=forward_kinematics(PARENTS, JOINTS, local_quats, root_position_world),
        bone_ids=torch.arange(3).repeat_interleave(4)[:, None],
        bone_weights=torch.ones(12, 1),
    )


def random_quats(*shape: int) -> torch.Tensor:
    return normalize_quats(torch.randn(*shape, 4, generator=torch.Generator().manual_seed(0)))


def test_the_rest_pose_stands_at_the_root_position():
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(3, 4)
    shift = torch.tensor([3.0, 4.0, 5.0])
    rest = body(identity, shift)
    torch.testing.assert_close(rest.joints_world, JOINTS + shift)
    torch.testing.assert_close(rest.vertices_world, rest.rest.vertices + shift)


def test_bones_and_sections_keep_their_size_in_any_pose():
    posed = body(random_quats(3), torch.zeros(3))
    torch.testing.assert_close(posed.joints_world[0], torch.zeros(3))
    torch.testing.assert_close((posed.joints_world[1:] - posed.joints_world[:-1]).norm(dim=-1), torch.ones(2))
    around = posed.vertices_world.unflatten(0, (3, 4))
    torch.testing.assert_close(around.mean(1), posed.joints_world)
    torch.testing.assert_close((around[:, 0] - around[:, 2]).norm(dim=-1), torch.full((3,), 0.08**0.5))


def test_one_frame_of_a_sequence_of_poses():
    sequence = Pose(local_quats=random_quats(5, 3), root_position_world=torch.arange(15.0).reshape(5, 3))
    frame = sequence[2]
    assert torch.equal(frame.local_quats, sequence.local_quats[2])
    assert frame.root_position_world.tolist() == [6, 7, 8]
