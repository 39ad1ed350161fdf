"""What every person of a body model shares, and one person at rest."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.engine import forward_kinematics
from avatar.structs import Body, Mesh, Pose


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """Skeleton, skin weights and triangles of a body model, the same for every shape.

    Attributes:
        joint_names: in the order of every joint axis; a parent comes before its children.
        parents: index of each joint's parent, -1 for the root, which comes first.
        bone_ids: the joints that move each vertex, the strongest first.
        bone_weights: how much each does; rows sum to one, unused entries are zero.
        faces: three vertex indices a triangle, counter-clockwise seen from outside.
        uv: texture coordinates in [0, 1], v upwards.
        uv_faces: three indices into ``uv`` a triangle.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    bone_ids: Int[Tensor, "v k"]
    bone_weights: Float[Tensor, "v k"]
    faces: Int[Tensor, "t 3"]
    uv: Float[Tensor, "u 2"]
    uv_faces: Int[Tensor, "t 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapedBody:
    """One person at rest: make it once, then pose it often.

    Attributes:
        rig: the model's skeleton and triangles.
        rest: the surface in the rest pose, model frame, metres.
        joints_rest: joint positions at rest, metres.
        pose_directions: the model's pose blend shapes, see ``avatar.structs.Body``; None for a model without.
    """

    rig: Rig
    rest: Mesh
    joints_rest: Float[Tensor, "j 3"]
    pose_directions: Float[Tensor, "d v 3"] | None = None

    def posed(self, pose: Pose) -> Body:
        """This person in ``pose`` (one frame). Raises ValueError when the pose has another number of joints."""
        expected = (len(self.rig.parents), 4)
        if pose.local_quats.shape != expected:
            found = tuple(pose.local_quats.shape)
            raise ValueError(
                f"pose.local_quats: expected {expected} (one frame), found {found}; index a sequence first"
            )
        return Body(
            pose=pose,
            rest=self.rest,
            parents=self.rig.parents,
            joints_rest=self.joints_rest,
            posed_from_rest=forward_kinematics(
                self.rig.parents, self.joints_rest, pose.local_quats, pose.root_position_world
            ),
            bone_ids=self.rig.bone_ids,
            bone_weights=self.rig.bone_weights,
            pose_directions=self.pose_directions,
        )

    def rest_pose(self) -> Pose:
        """The pose that leaves every point where it is at rest."""
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=self.joints_rest.dtype, device=self.joints_rest.device)
        return Pose(local_quats=identity.expand(len(self.rig.parents), 4), root_position_world=self.joints_rest[0])
