"""Where a moving body touches the ground."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv1d, pad

from avatar.engine import forward_kinematics
from avatar.structs import Pose, Skeleton

LOW_SHARE = 0.05  # of the time steps may reach below the ground: a few bad ones do not lift the whole motion
HOP_M = 0.06  # higher than captures drift
SETTLING_S = 0.25
MOST_REACH = 1000
_AT_ONCE = 256  # time steps


@dataclass(frozen=True, kw_only=True, eq=False)
class TouchPoints:
    """Points of a body that can touch the ground.

    Attributes:
        points_rest: where they are in the rest pose, metres.
        joint_ids: the joint that each goes along with.
    """

    points_rest: Float[Tensor, "n 3"]
    joint_ids: Int[Tensor, " n"]

    @classmethod
    def of_joints(cls, skeleton: Skeleton) -> "TouchPoints":
        """The joints themselves, for a skeleton without a surface."""
        return cls(points_rest=skeleton.joints_rest, joint_ids=torch.arange(len(skeleton.parents)))

    def lowest(self, skeleton: Skeleton, poses: Pose) -> Float[Tensor, " f"]:
        """Height of the lowest point at every time step, metres."""
        return torch.cat([self._lowest(skeleton, poses[rows]) for rows in _batches(len(poses.local_quats))])

    def _lowest(self, skeleton: Skeleton, poses: Pose) -> Float[Tensor, " f"]:
        rest, points = skeleton.joints_rest.to(poses.local_quats), self.points_rest.to(poses.local_quats)
        posed = forward_kinematics(skeleton.parents, rest, poses.local_quats, poses.root_position_world)
        vertical = posed[:, self.joint_ids, 2]
        return ((vertical[..., :3] * points).sum(-1) + vertical[..., 3]).amin(-1)


def ground_height(lowest: Float[Tensor, " f"]) -> float:
    """How high the ground is under a body whose lowest points are these."""
    return float(torch.quantile(lowest, LOW_SHARE))


def contact_height(lowest: Float[Tensor, " f"], frame_rate_hz: float) -> Float[Tensor, " f"]:
    """The ground under a body at every time step: level, but for the few centimetres by which captures drift.

    It follows the lowest points smoothly, and never further than ``HOP_M``: whoever jumps or climbs leaves it.
    """
    level = ground_height(lowest)
    sigma = SETTLING_S * frame_rate_hz
    reach = min(math.ceil(3 * sigma), MOST_REACH)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).to(lowest) / sigma) ** 2)
    above = (lowest - level).clamp(max=HOP_M)[None, None]
    smooth = conv1d(pad(above, (reach, reach), "replicate"), (weights / weights.sum())[None, None])[0, 0]
    return level + smooth


def _batches(count: int) -> list[list[int]]:
    return [list(range(start, min(start + _AT_ONCE, count))) for start in range(0, count, _AT_ONCE)]
