"""What the body does, in a few numbers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.geometry import axis_angles_from_quats, conjugate_quats, multiply_quats
from avatar.structs import Pose

_SMALLEST_SPREAD_RAD = 0.1


class PoseFeatures(nn.Module):
    """What the body does, in a few numbers: principal components of the joints' rotations over the training poses.

    The root's rotation is left out: where somebody faces does not change how cloth hangs.
    """

    mean_quats: Tensor
    mean: Tensor
    directions: Tensor
    spread: Tensor

    def __init__(self, poses: Pose, num_features: int, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("mean_quats", _mean_quats(poses.local_quats[:, 1:]))
        angles = self._angles(poses.local_quats)
        mean = angles.mean(0)
        _, singular, directions = torch.linalg.svd(angles - mean, full_matrices=False)
        spread = singular / max(1, len(angles)) ** 0.5
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions[:num_features])
        self.register_buffer("spread", spread[:num_features].clamp(min=_SMALLEST_SPREAD_RAD))

    def forward(self, pose: Pose) -> Float[Tensor, "*f d"]:
        """Standardised features of poses, cut off at ``limit``; they pass no gradient to the pose."""
        angles = self._angles(pose.local_quats.detach()) - self.mean
        return ((angles @ self.directions.T) / self.spread).clamp(-self.limit, self.limit)

    def _angles(self, local_quats: Float[Tensor, "*f j 4"]) -> Float[Tensor, "*f d"]:
        turns = multiply_quats(conjugate_quats(self.mean_quats), local_quats[..., 1:, :])
        return axis_angles_from_quats(turns).flatten(-2)


def _mean_quats(quats: Float[Tensor, "f j 4"]) -> Float[Tensor, "j 4"]:
    """Mean rotation of every joint: the main axis of the quaternions' scatter (Markley et al. 2007)."""
    scatter = torch.einsum("fja,fjb->jab", quats, quats)
    return torch.linalg.eigh(scatter).eigenvectors[..., -1]
