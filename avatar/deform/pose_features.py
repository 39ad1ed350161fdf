"""What the body does, in a few numbers, and how things known for some poses are told for others."""

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


def regress(
    features: Float[Tensor, "*f d"],
    known_features: Float[Tensor, "p d"],
    known_values: Float[Tensor, "p m"],
    *,
    reach: float,
    noise: float,
) -> Float[Tensor, "*f m"]:
    """Values at ``features`` by Gaussian-process regression on pivots (Rasmussen and Williams 2006, equation 2.23).

    The kernel is one at no distance and falls off over ``reach``; the farther from all pivots, the nearer the result is
    to their mean, and it never leaves it by more than they do together. ``noise`` is the part of the values' variance
    that the features do not explain.
    """
    mean = known_values.mean(0)
    among = _kernel(known_features, known_features, reach)
    unexplained = noise * torch.eye(len(known_features), dtype=among.dtype, device=among.device)
    weights = torch.linalg.solve(among + unexplained, known_values - mean)
    return mean + _kernel(features, known_features, reach) @ weights


def _kernel(a: Float[Tensor, "*f d"], b: Float[Tensor, "p d"], reach: float) -> Float[Tensor, "*f p"]:
    return torch.exp(-(torch.cdist(a[..., None, :], b)[..., 0, :] / reach).square() / 2)
