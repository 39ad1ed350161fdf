"""What was learnt about single frames, carried over to poses between them and beside them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.structs import Pose

from .pose_features import PoseFeatures

_TIME_REACH = 1.5  # in typical steps from training frame to training frame


class FrameRegression(nn.Module):
    """Gaussian-process regression over pose, and over time between training frames (Rasmussen and Williams 2006, 2.2).

    Two frames have so much in common as their poses are alike; for a frame of the capture that lies between training
    frames, half of that is how close they are in time. The less a pose has in common with all of them, the nearer its
    value is to their mean: it never leaves them far behind.

    Attributes:
        frame_ids: of the training frames.
        known_features: of their poses, standardised.
        reach: how far apart poses still have much in common, in standard deviations of the features.
        by_pose: inverse of how much the training poses have in common with each other.
    """

    frame_ids: Float[Tensor, " f"]
    known_features: Float[Tensor, "f d"]
    by_pose: Float[Tensor, "f f"]
    _by_pose_and_time: Float[Tensor, "f f"]

    def __init__(
        self, features: PoseFeatures, poses: Pose, frame_ids: Sequence[int], *, noise: float, reach: float
    ) -> None:
        """``reach`` in standard deviations of the pose features; ``noise`` is what neither explains of the variance."""
        super().__init__()
        self.features, self.reach = features, reach
        ids = torch.tensor(list(frame_ids), dtype=torch.float32)
        steps = ids.sort().values.diff()
        self._reach_frames = _TIME_REACH * float(steps.median()) if len(steps) else 1.0
        self._first, self._last = float(ids.min()), float(ids.max())
        self.register_buffer("frame_ids", ids, persistent=False)
        self.register_buffer("known_features", features(poses))
        by_pose = _alike(self.known_features, self.known_features, reach)
        by_time = _alike(ids[:, None], ids[:, None], self._reach_frames)
        unexplained = noise * torch.eye(len(ids))
        for name, common in (("by_pose", by_pose), ("_by_pose_and_time", (by_pose + by_time) / 2)):
            inverse = torch.linalg.inv((common + unexplained).double()).float()
            self.register_buffer(name, inverse, persistent=False)

    def forward(self, pose: Pose) -> Float[Tensor, " f"]:
        """How much the value of each training frame counts for ``pose``; the weights sum to one."""
        common, inverse = _alike(self.features(pose)[None], self.known_features, self.reach)[0], self.by_pose
        if pose.frame_id is not None and self._first <= pose.frame_id <= self._last:
            time = self.frame_ids.new_tensor([[float(pose.frame_id)]])
            common = (common + _alike(time, self.frame_ids[:, None], self._reach_frames)[0]) / 2
            inverse = self._by_pose_and_time
        weights = common @ inverse
        return weights + (1 - weights.sum()) / len(weights)


def _alike(a: Float[Tensor, "m d"], b: Float[Tensor, "n d"], reach: float) -> Float[Tensor, "m n"]:
    return torch.exp(-(torch.cdist(a, b) / reach).square() / 2)
