"""What was learnt about single frames, carried over to poses between them and beside them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.structs import Pose

from .correctives import CorrectivesConfig, PoseFeatures

_POSE_REACH = 5.0  # in standard deviations of the pose features
_TIME_REACH = 1.5  # in typical steps from training frame to training frame


class FrameRegression(nn.Module):
    """Gaussian-process regression over pose and time (Rasmussen and Williams 2006, section 2.2).

    Two frames have so much in common as their poses are alike, and as they are close in time where both belong to the
    capture. The less a pose has in common with all of them, the nearer its value is to their mean.
    """

    frame_ids: Float[Tensor, " f"]
    known_features: Float[Tensor, "f d"]
    _inverse: Float[Tensor, "f f"]

    def __init__(self, poses: Pose, frame_ids: Sequence[int], noise: float) -> None:
        super().__init__()
        self.features = PoseFeatures(poses, CorrectivesConfig())
        ids = torch.tensor(list(frame_ids), dtype=torch.float32)
        steps = ids.sort().values.diff()
        self._reach_frames = _TIME_REACH * float(steps.median()) if len(steps) else 1.0
        self.register_buffer("frame_ids", ids, persistent=False)
        self.register_buffer("known_features", self.features(poses), persistent=False)
        common = _alike(self.known_features, self.known_features, _POSE_REACH)
        common = common + _alike(ids[:, None], ids[:, None], self._reach_frames)
        inverse = torch.linalg.inv((common + noise * torch.eye(len(ids))).double()).float()
        self.register_buffer("_inverse", inverse, persistent=False)

    def forward(self, pose: Pose) -> Float[Tensor, " f"]:
        """How much the value of each training frame counts for ``pose``; the weights sum to one."""
        common = _alike(self.features(pose)[None], self.known_features, _POSE_REACH)[0]
        if pose.frame_id is not None:
            time = self.frame_ids.new_tensor([[float(pose.frame_id)]])
            common = common + _alike(time, self.frame_ids[:, None], self._reach_frames)[0]
        weights = common @ self._inverse
        return weights + (1 - weights.sum()) / len(weights)


def _alike(a: Float[Tensor, "m d"], b: Float[Tensor, "n d"], reach: float) -> Float[Tensor, "m n"]:
    return 0.5 * torch.exp(-(torch.cdist(a, b) / reach).square() / 2)
