"""A motion of any skeleton, before it is made the motion of an avatar."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeleton:
    """Joints and the pose from which their rotations are counted.

    Attributes:
        joint_names: a parent comes before its children.
        parents: index of each joint's parent, -1 for the root, which comes first.
        joints_rest: joint positions in the rest pose, metres, z up; where the origin is does not matter.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    joints_rest: Float[Tensor, "j 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A motion as its file has it, in the world's axes and units.

    Attributes:
        name: of the file.
        skeleton: whose motion it is.
        local_quats: rotation of each joint against its parent, as in ``Pose``: unit ``wxyz``, in the world's axes at
            rest, ``G_j = G_parent R_j``.
        root_position_world: where the root joint stands, metres.
        frame_rate_hz: time steps a second.
        notes: what had to be assumed about the file, a line each.
    """

    name: str
    skeleton: Skeleton
    local_quats: Float[Tensor, "f j 4"]
    root_position_world: Float[Tensor, "f 3"]
    frame_rate_hz: float
    notes: tuple[str, ...] = ()
