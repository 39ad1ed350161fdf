"""Pose-dependent correction: a few linear modes of offset and colour over the surface.

The modes live on control points spread over the template and are interpolated to the Gaussians; their coefficients come
from a small encoder of the pose, plus a free code for each training frame: cloth does more than the pose tells. Other
poses take what training poses near them took. Compare the linear bases of Lazova et al. 2019.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor, nn

from avatar.engine import SparseMap
from avatar.geometry import (
    farthest_point_sampling,
    sample_surface,
    sum_weighted_rows,
)
from avatar.structs import Binding, Mesh, Pose

from .frame_regression import FrameRegression
from .pose_features import PoseFeatures

_OFFSET_SCALE_M, _COLOR_SCALE = 0.05, 0.3
_NEIGHBOURS = 4
_REACH, _NOISE = 4.0, 0.1  # in standard deviations of the pose features; of the coefficients' variance


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

    num_modes: int = 40
    num_control_points: int = 1500
    num_features: int = 6
    hidden: int = 32
    feature_limit: float = 3.0

    def __post_init__(self) -> None:
        for name, least in (("num_control_points", _NEIGHBOURS), ("num_features", 1), ("hidden", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"CorrectivesConfig.{name}: expected at least {least}, got {getattr(self, name)}")
        if self.num_modes < 0:
            raise ValueError(f"CorrectivesConfig.num_modes: expected 0 or more, got {self.num_modes}")
        if not self.feature_limit > 0:
            raise ValueError(f"CorrectivesConfig.feature_limit: expected a positive number, got {self.feature_limit}")


class Correctives(nn.Module):
    """Owns the modes, the encoder and the frame codes."""

    control_points: Float[Tensor, "m 3"]

    def __init__(self, template: Mesh, poses: Pose, frame_ids: Sequence[int], config: CorrectivesConfig) -> None:
        super().__init__()
        self.config = config
        modes, generator = config.num_modes, torch.Generator().manual_seed(0)
        self.register_buffer("control_points", _spread_points(template, config.num_control_points, generator))
        features = PoseFeatures(poses, config.num_features, config.feature_limit)
        self.regression = FrameRegression(features, poses, frame_ids, noise=_NOISE, reach=_REACH)
        self.encoder = nn.Sequential(
            nn.Linear(len(features.spread), config.hidden), nn.Tanh(), nn.Linear(config.hidden, modes)
        )
        self.modes = nn.Parameter(0.02 * torch.randn(modes, config.num_control_points, 6, generator=generator))
        self.codes = nn.Parameter(torch.zeros(len(frame_ids), modes))
        self._rows = {frame: row for row, frame in enumerate(frame_ids)}
        self._interpolation: tuple[Binding, SparseMap] | None = None

    def coefficients(self, pose: Pose) -> Float[Tensor, " m"]:
        """How much of each mode ``pose`` calls for: the encoder's word and the frame's code, or its neighbours' both.

        An unseen pose takes what training poses near it took, which are its pivots (compare the mixture of
        TailorNet, Patel et al. 2020, section 4.3): 0.15 to 0.35 dB on novel poses over regressing the codes alone.
        """
        features = self.regression.features(pose)
        row = self._rows.get(pose.frame_id) if pose.frame_id is not None else None
        if row is not None:
            return self.encoder(features) + self.codes[row]
        pivots = self.encoder(self.regression.known_features) + self.codes
        return self.regression(pose) @ pivots

    def forward(
        self, pose: Pose, binding: Binding, means: Float[Tensor, "n 3"] | None = None
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Offset in the canonical pose (metres), on top of ``means`` if given, and additive sRGB of every Gaussian."""
        field, interpolate = self._field(pose), self._interpolate(binding)
        return interpolate(field[:, :3] * _OFFSET_SCALE_M, base=means), interpolate(field[:, 3:] * _COLOR_SCALE)

    def offsets(self, pose: Pose) -> Float[Tensor, "m 3"]:
        """Offset of every control point in the canonical pose, metres."""
        return self._field(pose)[:, :3] * _OFFSET_SCALE_M

    def _field(self, pose: Pose) -> Float[Tensor, "m 6"]:
        return (self.coefficients(pose) @ self.modes.flatten(1)).view(self.modes.shape[1:])

    def scaled_modes(self) -> Float[Tensor, "k m 6"]:
        """What a coefficient of one does at every control point: offset in metres, then sRGB."""
        scales = self.modes.new_tensor([_OFFSET_SCALE_M] * 3 + [_COLOR_SCALE] * 3)
        return self.modes * scales

    def influences(self, binding: Binding) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
        """The control points around what is bound, and how much each counts; rows sum to one."""
        vertices, corners = binding.template.vertices, binding.template.faces[binding.triangles]
        points = sum_weighted_rows(vertices, corners, binding.barycentrics).detach()
        distances, ids = _nearest(points, self.control_points)
        weights = 1 / (distances + 5e-3).square()
        return ids, weights / weights.sum(1, keepdim=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Correctives":
        self._interpolation = None
        return super()._apply(fn, recurse)

    def _interpolate(self, binding: Binding) -> SparseMap:
        """The map from control points to Gaussians; made again when the binding changes."""
        if self._interpolation is None or self._interpolation[0] is not binding:
            self._interpolation = (binding, SparseMap(*self.influences(binding), len(self.control_points)))
        return self._interpolation[1]


def _spread_points(template: Mesh, count: int, generator: torch.Generator) -> Float[Tensor, "m 3"]:
    """Points on the surface, far from each other: the most distant of four times as many random ones."""
    triangles, barycentrics = sample_surface(template.vertices, template.faces, 4 * count, generator)
    points = sum_weighted_rows(template.vertices, template.faces[triangles], barycentrics.to(template.vertices))
    return points[farthest_point_sampling(points, count)]


def _nearest(points: Float[Tensor, "n 3"], targets: Float[Tensor, "m 3"]) -> tuple[Tensor, Tensor]:
    """Distance and index of the four nearest targets of each point; a tree, as Gaussians often change their place."""
    distances, ids = KDTree(targets.cpu().numpy()).query(points.cpu().numpy(), k=_NEIGHBOURS)
    return torch.from_numpy(distances).to(points), torch.from_numpy(ids).to(points.device)
