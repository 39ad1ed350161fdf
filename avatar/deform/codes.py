"""What a canonical field is told of a moment: the pose in a few numbers, and a code of the frame where it is known.

Both from Dual-Space NeRF (Zhi et al. 2022, section 3.2). Its frame codes are silenced at test without ever having been
zero in training; here training forgets half of the time which frame it looks at, and zero is a moment like others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.structs import Pose

from .pose_features import PoseFeatures

_START = 0.1


@dataclass(frozen=True, kw_only=True)
class FieldCodesConfig:
    """Size of the codes.

    Attributes:
        num_features: principal components of the pose that the encoder sees.
        feature_limit: they are cut off here, in standard deviations of the training poses.
        hidden: width of the encoder's two hidden layers.
        pose_size, frame_size: numbers in each code; 0 for no code of the frame.
        forget: how often training forgets which frame it looks at, 0 to 1.
    """

    num_features: int = 6
    feature_limit: float = 3.0
    hidden: int = 64
    pose_size: int = 16
    frame_size: int = 8
    forget: float = 0.5

    def __post_init__(self) -> None:
        for name, least in (("num_features", 1), ("hidden", 1), ("pose_size", 1), ("frame_size", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"FieldCodesConfig.{name}: expected at least {least}, got {getattr(self, name)}")
        if not self.feature_limit > 0:
            raise ValueError(f"FieldCodesConfig.feature_limit: expected a positive number, got {self.feature_limit}")
        if not 0 <= self.forget <= 1:
            raise ValueError(f"FieldCodesConfig.forget: expected 0 to 1, got {self.forget}")

    @property
    def size(self) -> int:
        """How many numbers a moment has."""
        return self.pose_size + self.frame_size


class FieldCodes(nn.Module):
    """Owns the pose encoder and the frames' codes.

    Attributes:
        codes: one a training frame. They start small, not at zero: a field that starts deaf to them would stay so.
    """

    def __init__(self, poses: Pose, frame_ids: Sequence[int], config: FieldCodesConfig) -> None:
        super().__init__()
        self.config = config
        self.features = PoseFeatures(poses, config.num_features, config.feature_limit)
        inputs, hidden = len(self.features.spread), config.hidden
        self.encoder = nn.Sequential(
            *(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()),
            nn.Linear(hidden, config.pose_size),
        )
        self.codes = nn.Parameter(_START * torch.randn(len(frame_ids), config.frame_size))
        self._rows = {frame: row for row, frame in enumerate(frame_ids)}
        self._is_known = True

    def forward(self, pose: Pose) -> Float[Tensor, " d"]:
        """The code of ``pose``, then that of its frame; zeros for a pose of no training frame."""
        row = self._rows.get(pose.frame_id) if self._is_known and pose.frame_id is not None else None
        frame = torch.zeros_like(self.codes[0]) if row is None else self.codes[row]
        return torch.cat([self.encoder(self.features(pose)), frame])

    @contextmanager
    def forgetting(self, generator: torch.Generator) -> Iterator[None]:
        """For a step of training: within, in a share ``forget`` of all draws, no frame is known."""
        self._is_known = float(torch.rand((), generator=generator)) >= self.config.forget
        try:
            yield
        finally:
            self._is_known = True
