"""Pose-dependent correction: a few linear modes of offset and colour over the surface.

The modes live on control points spread over the template and are interpolated to the Gaussians; their coefficients come
from a small encoder of the pose, plus a free code for each training frame: cloth does more than the pose tells.
Compare the linear bases of Lazova et al. 2019 and the control graph of Sumner et al. 2007.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor, nn

from avatar.engine import SparseMap
from avatar.geometry import (
    axis_angles_from_quats,
    conjugate_quats,
    farthest_point_sampling,
    multiply_quats,
    sample_surface,
    sum_weighted_rows,
)
from avatar.structs import Binding, Mesh, Pose

_OFFSET_SCALE_M, _COLOR_SCALE = 0.05, 0.3
_SMALLEST_SPREAD_RAD = 0.1
_NEIGHBOURS = 4
_CODE_REACH, _CODE_NOISE = 5.0, 0.03  # in standard deviations of the pose features; of the codes' variance


@dataclass(frozen=True, kw_only=True)
class CorrectivesConfig:
    """Size of the correction.

    Attributes:
        num_modes: linear modes; 0 switches the correction off.
        num_control_points: where they are defined.
        num_features: principal components of the pose that the encoder sees.
        hidden: width of the pose encoder.
        feature_limit: pose features, in standard deviations of the training poses, are cut off here.
    """

    num_modes: int = 16
    num_control_points: int = 1500
    num_features: int = 6
    hidden: int = 32
    feature_limit: float = 3.0

    def __post_init__(self) -> None:
        for name in ("num_control_points", "num_features", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"CorrectivesConfig.{name}: expected at least 1, got {getattr(self, name)}")
        if self.num_modes < 0:
            raise ValueError(f"CorrectivesConfig.num_modes: expected 0 or more, got {self.num_modes}")
        if not self.feature_limit > 0:
            raise ValueError(f"CorrectivesConfig.feature_limit: expected a positive number, got {self.feature_limit}")


class PoseFeatures(nn.Module):
    """What the body does, in a few numbers: principal components of the joints' rotations over the training poses.

    The root's rotation is left out: where somebody faces does not change how cloth hangs.
    """

    mean_quats: Tensor
    mean: Tensor
    directions: Tensor
    spread: Tensor

    def __init__(self, poses: Pose, config: CorrectivesConfig) -> None:
        super().__init__()
        self.limit = config.feature_limit
        self.register_buffer("mean_quats", _mean_quats(poses.local_quats[:, 1:]))
        angles = self._angles(poses.local_quats)
        mean = angles.mean(0)
        _, singular, directions = torch.linalg.svd(angles - mean, full_matrices=False)
        spread = singular / max(1, len(angles)) ** 0.5
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions[: config.num_features])
        self.register_buffer("spread", spread[: config.num_features].clamp(min=_SMALLEST_SPREAD_RAD))

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


class Correctives(nn.Module):
    """Owns the modes, the encoder and the frame codes."""

    control_points: Float[Tensor, "m 3"]
    training_features: Float[Tensor, "f d"]

    def __init__(self, template: Mesh, poses: Pose, frame_ids: Sequence[int], config: CorrectivesConfig) -> None:
        super().__init__()
        self.config = config
        modes, generator = config.num_modes, torch.Generator().manual_seed(0)
        self.register_buffer("control_points", _spread_points(template, config.num_control_points, generator))
        self.features = PoseFeatures(poses, config)
        self.register_buffer("training_features", self.features(poses))
        self.encoder = nn.Sequential(
            nn.Linear(len(self.features.spread), config.hidden), nn.Tanh(), nn.Linear(config.hidden, modes)
        )
        self.modes = nn.Parameter(0.02 * torch.randn(modes, config.num_control_points, 6, generator=generator))
        self.codes = nn.Parameter(torch.zeros(len(frame_ids), modes))
        self._rows = {frame: row for row, frame in enumerate(frame_ids)}
        self._interpolation: tuple[Binding, SparseMap] | None = None

    def coefficients(self, pose: Pose) -> Float[Tensor, " m"]:
        """How much of each mode ``pose`` calls for: the encoder's word, and the frame's code or its neighbours'."""
        features = self.features(pose)
        row = self._rows.get(pose.frame_id) if pose.frame_id is not None else None
        return self.encoder(features) + (self._neighbours_code(features) if row is None else self.codes[row])

    def _neighbours_code(self, features: Float[Tensor, " d"]) -> Float[Tensor, " m"]:
        """The code of an unseen pose by Gaussian-process regression on training poses (Rasmussen and Williams 2006).

        The farther a pose is from all of them, the nearer its code is to their mean. Worth 0.3 dB on novel poses.
        """
        known, mean = self.training_features, self.codes.mean(0)
        noise = _CODE_NOISE * torch.eye(len(known), dtype=known.dtype, device=known.device)
        weights = torch.linalg.solve(_kernel(known, known) + noise, self.codes - mean)
        return mean + (_kernel(features[None], known) @ weights)[0]

    def forward(
        self, pose: Pose, binding: Binding, means: Float[Tensor, "n 3"] | None = None
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Offset in the canonical pose (metres), on top of ``means`` if given, and additive sRGB of every Gaussian."""
        field = (self.coefficients(pose) @ self.modes.flatten(1)).view(self.modes.shape[1:])
        offsets, colors = field[:, :3] * _OFFSET_SCALE_M, field[:, 3:] * _COLOR_SCALE
        interpolate = self._interpolate(binding)
        return interpolate(offsets, base=means), interpolate(colors)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Correctives":
        self._interpolation = None
        return super()._apply(fn, recurse)

    def _interpolate(self, binding: Binding) -> SparseMap:
        """The map from control points to Gaussians; made again when the binding changes."""
        if self._interpolation is None or self._interpolation[0] is not binding:
            vertices, corners = binding.template.vertices, binding.template.faces[binding.triangles]
            points = sum_weighted_rows(vertices, corners, binding.barycentrics).detach()
            distances, ids = _nearest(points, self.control_points)
            weights = 1 / (distances + 5e-3).square()
            weights = weights / weights.sum(1, keepdim=True)
            self._interpolation = (binding, SparseMap(ids, weights, len(self.control_points)))
        return self._interpolation[1]


def _kernel(a: Float[Tensor, "m d"], b: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    return torch.exp(-(torch.cdist(a, b) / _CODE_REACH).square() / 2)


def _spread_points(template: Mesh, count: int, generator: torch.Generator) -> Float[Tensor, "m 3"]:
    """Points on the surface, far from each other: the most distant of four times as many random ones."""
    triangles, barycentrics = sample_surface(template.vertices, template.faces, 4 * count, generator)
    points = sum_weighted_rows(template.vertices, template.faces[triangles], barycentrics.to(template.vertices))
    return points[farthest_point_sampling(points, count)]


def _nearest(points: Float[Tensor, "n 3"], targets: Float[Tensor, "m 3"]) -> tuple[Tensor, Tensor]:
    """Distance and index of the four nearest targets of each point; a tree, as Gaussians often change their place."""
    distances, ids = KDTree(targets.cpu().numpy()).query(points.cpu().numpy(), k=_NEIGHBOURS)
    return torch.from_numpy(distances).to(points), torch.from_numpy(ids).to(points.device)
