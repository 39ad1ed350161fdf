"""A tube along z with a chain of joints in it, and Gaussians on its surface."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from avatar.geometry import forward_kinematics, interpolate, quats_from_axis_angles, sample_surface, triangle_frames
from avatar.structs import Binding, Body, Gaussians, Mesh, Pose

JOINTS, SEGMENT_M, RADIUS_M, AROUND, RINGS_A_SEGMENT = 12, 0.1, 0.04, 8, 4
PARENTS = tuple(range(-1, JOINTS - 1))


def ring_heights() -> Tensor:
    """In segments: ``j`` at joint ``j``, ``j + 0.5`` half way to the next."""
    return torch.arange((JOINTS - 1) * RINGS_A_SEGMENT + 1) / RINGS_A_SEGMENT


@pytest.fixture(scope="session")
def tube() -> Mesh:
    """Rings of eight vertices, four rings from joint to joint, the outside counter-clockwise."""
    angles = 2 * math.pi * torch.arange(AROUND) / AROUND
    heights = SEGMENT_M * ring_heights()
    circle = RADIUS_M * torch.stack([angles.cos(), angles.sin()], dim=-1)
    rings = torch.cat([circle.expand(len(heights), -1, -1), heights[:, None, None].expand(-1, AROUND, 1)], dim=-1)
    ids = torch.arange(rings[..., 0].numel()).view(len(heights), AROUND)
    below, right, above = ids[:-1], ids.roll(-1, 1)[:-1], ids[1:]
    faces = torch.stack([torch.stack([below, right, above], -1), torch.stack([right, ids.roll(-1, 1)[1:], above], -1)])
    return Mesh(vertices=rings.flatten(0, 1), faces=faces.reshape(-1, 3))


@pytest.fixture(scope="session")
def body_of(tube: Mesh) -> Callable[[Pose], Body]:
    """The tube in a pose; between two joints the weights change over linearly."""
    heights = ring_heights().repeat_interleave(AROUND)
    lower = heights.floor().long().clamp(max=JOINTS - 2)
    upper_weight = heights - lower
    joints = torch.zeros(JOINTS, 3)
    joints[:, 2] = SEGMENT_M * torch.arange(JOINTS)

    def body(pose: Pose) -> Body:
        return Body(
            pose=pose,
            rest=tube,
            parents=PARENTS,
            joints_rest=joints,
            posed_from_rest=forward_kinematics(PARENTS, joints, pose.local_quats, pose.root_position_world),
            bone_ids=torch.stack([lower, lower + 1], dim=-1),
            bone_weights=torch.stack([1 - upper_weight, upper_weight], dim=-1),
        )

    return body


@pytest.fixture(scope="session")
def random_poses() -> Pose:
    """Six poses, joints turned by about 0.3."""
    generator = torch.Generator().manual_seed(0)
    return Pose(
        local_quats=quats_from_axis_angles(0.3 * torch.randn(6, JOINTS, 3, generator=generator)),
        root_position_world=torch.randn(6, 3, generator=generator),
    )


@pytest.fixture(scope="session")
def gaussians(tube: Mesh) -> Gaussians:
    """Two hundred on the tube, turned at random."""
    generator = torch.Generator().manual_seed(1)
    triangles, barycentrics = sample_surface(tube.vertices, tube.faces, 200, generator)
    normals = triangle_frames(tube.vertices, tube.faces)[triangles][..., 2]
    return Gaussians(
        means=interpolate(tube.vertices, tube.faces[triangles], barycentrics),
        quats=torch.nn.functional.normalize(torch.randn(200, 4, generator=generator), dim=1),
        scales=torch.full((200, 3), 0.01),
        opacities=torch.full((200,), 0.9),
        sh=0.5 * torch.randn(200, 4, 3, generator=generator),
        binding=Binding(template=tube, triangles=triangles, barycentrics=barycentrics, normals=normals),
    )
