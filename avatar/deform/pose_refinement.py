"""Small corrections to the captured poses, learnt from the pictures."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.structs import Pose


class PoseRefinement(nn.Module):
    """A rotation of every joint and a shift of the root for each training frame; other poses pass unchanged.

    Attributes:
        axis_angles: ``frames joints 3``, applied after the captured local rotation, radians.
        shifts: ``frames 3``, metres.
    """

    frame_ids: Tensor

    def __init__(self, frame_ids: Sequence[int], num_joints: int) -> None:
        super().__init__()
        self.axis_angles = nn.Parameter(torch.zeros(len(frame_ids), num_joints, 3))
        self.shifts = nn.Parameter(torch.zeros(len(frame_ids), 3))
        self.register_buffer("frame_ids", torch.tensor(list(frame_ids), dtype=torch.int64))
        self._rows = {frame: row for row, frame in enumerate(frame_ids)}

    def forward(self, pose: Pose) -> Pose:
        """The corrected pose."""
        row = self._rows.get(pose.frame_id) if pose.frame_id is not None else None
        if row is None:
            return pose
        turn = quats_from_axis_angles(self.axis_angles[row])
        return replace(
            pose,
            local_quats=multiply_quats(pose.local_quats, turn),
            root_position_world=pose.root_position_world + self.shifts[row],
        )
