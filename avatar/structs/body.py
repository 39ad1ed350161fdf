"""A person's shape and pose, and the posed body that they make."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import lbs, matrices_from_quats, transform_points

from .mesh import Mesh
from .moving import map_tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """Shape parameters of a body model.

    Attributes:
        names: what each value means, in order (Anny: gender, age, muscle, weight, height, proportions).
        values: one value each; Anny's lie in [0, 1].
    """

    names: tuple[str, ...]
    values: Float[Tensor, " p"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """Joint rotations and the place of the root; leading axes are frames.

    Attributes:
        local_quats: rotation of each joint against its parent, unit ``wxyz``, in the model's axes at rest: with ``R_j``
            its matrix and ``G_j`` the rotation from rest to posed, ``G_j = G_parent R_j``.
        root_position_world: where the root joint stands, metres.
        frame_id: the captured frame this pose was measured in, or None for a pose that comes from elsewhere. What was
            learnt about single frames (pose refinement, free codes) applies to poses that name them.
    """

    local_quats: Float[Tensor, "*f j 4"]
    root_position_world: Float[Tensor, "*f 3"]
    frame_id: int | None = None

    def __getitem__(self, index: int | list[int]) -> "Pose":
        """One frame of a sequence of poses, or a sequence of some of them."""
        return replace(self, local_quats=self.local_quats[index], root_position_world=self.root_position_world[index])

    def to(self, device: torch.device | str) -> "Pose":
        """The same pose with its tensors on ``device``."""
        return map_tensors(self, lambda tensor: tensor.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A body in one pose.

    Attributes:
        pose: the pose it was made from.
        rest: the body of this shape in the rest pose, with faces and texture coordinates, model frame, metres.
        parents: index of each joint's parent, -1 for the root; a parent comes before its children.
        joints_rest: joint positions at rest, metres.
        posed_from_rest: rigid transform of every joint from the rest pose to the world.
        bone_ids: the joints that move each vertex.
        bone_weights: how much each does; rows sum to one, unused entries are zero.
        pose_directions: pose blend shapes: how far each entry of ``R_j - 1``, of the joints but the root, row by row,
            moves each vertex at rest, metres; None for a model without.
    """

    pose: Pose
    rest: Mesh
    parents: tuple[int, ...]
    joints_rest: Float[Tensor, "j 3"]
    posed_from_rest: Float[Tensor, "j 4 4"]
    bone_ids: Int[Tensor, "v k"]
    bone_weights: Float[Tensor, "v k"]
    pose_directions: Float[Tensor, "d v 3"] | None = None

    @cached_property
    def joints_world(self) -> Float[Tensor, "j 3"]:
        """Posed joint positions, metres."""
        return transform_points(self.posed_from_rest, self.joints_rest)

    @cached_property
    def vertices_world(self) -> Float[Tensor, "v 3"]:
        """Posed vertices by linear blend skinning, after the model's pose blend shapes, metres."""
        return lbs(self.vertices_bent, self.bone_ids, self.bone_weights, self.posed_from_rest)

    @property
    def vertices_bent(self) -> Float[Tensor, "v 3"]:
        """Vertices at rest with the pose blend shapes of this pose, metres."""
        if self.pose_directions is None:
            return self.rest.vertices
        turns = matrices_from_quats(self.pose.local_quats[1:])
        bends = (turns - torch.eye(3).to(turns)).flatten()
        return self.rest.vertices + (bends @ self.pose_directions.flatten(1)).view_as(self.rest.vertices)
