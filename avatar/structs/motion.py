"""Poses over time, captured ones and those between them."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import matrices_from_quats, slerp

from .body import Pose


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """Poses and when they were.

    Attributes:
        poses: the leading axis is the time step.
        frame_ids: number of each time step in its capture, ascending.
        frame_rate_hz: time steps a second.
        is_own: whether the avatar was fitted to this capture, so that what it learnt of single frames applies.
    """

    poses: Pose
    frame_ids: tuple[int, ...]
    frame_rate_hz: float
    is_own: bool

    @property
    def pace_hz(self) -> float:
        """Captured poses a second, less than the frame rate where time steps are left out."""
        steps = self.frame_ids[-1] - self.frame_ids[0]
        return self.frame_rate_hz * (len(self.frame_ids) - 1) / steps if steps else self.frame_rate_hz

    def captured(self) -> list[Pose]:
        """The poses one by one."""
        ids = self.frame_ids if self.is_own else [None] * len(self.frame_ids)
        return [replace(self.poses[row], frame_id=frame) for row, frame in enumerate(ids)]

    def between(self, times_s: Float[Tensor, " f"]) -> list[Pose]:
        """The poses at these seconds from the first time step on, turned evenly between captured ones."""
        known = (torch.tensor(self.frame_ids).double() - self.frame_ids[0]) / self.frame_rate_hz
        times_s = times_s.double()
        after = torch.searchsorted(known, times_s, right=True).clamp(1, max(1, len(known) - 1))
        before = after - 1
        after = after.clamp(max=len(known) - 1)
        quats, places = self.poses.local_quats, self.poses.root_position_world
        share = (times_s - known[before]) / (known[after] - known[before]).clamp(min=1e-9)
        share = share.clamp(0, 1)[:, None].to(places)
        quats = slerp(quats[before], quats[after], share)
        return [
            Pose(local_quats=quat, root_position_world=place)
            for quat, place in zip(quats, torch.lerp(places[before], places[after], share), strict=True)
        ]

    def resampled(self, frames_per_second: float, count: int | None = None) -> list[Pose]:
        """Poses at an even rate: once through the motion, or to and fro until there are ``count``."""
        duration = (self.frame_ids[-1] - self.frame_ids[0]) / self.frame_rate_hz
        times = torch.arange(count or int(duration * frames_per_second) + 1) / frames_per_second
        return self.between(duration - (times % max(2 * duration, 1e-9) - duration).abs())

    def part(self, start: int, stop: int | None) -> "Motion":
        """Time steps ``start`` up to, without, ``stop``, by number in the capture. ValueError when none is left."""
        end = math.inf if stop is None else stop
        kept = [row for row, frame in enumerate(self.frame_ids) if start <= frame < end]
        if not kept:
            asked = f"{start}:{'' if stop is None else stop}"
            raise ValueError(f"time steps {asked}: the motion has {self.frame_ids[0]} to {self.frame_ids[-1]}")
        return self.rows(kept)

    def rows(self, kept: list[int]) -> "Motion":
        """These rows alone."""
        return replace(self, poses=self.poses[kept], frame_ids=tuple(self.frame_ids[row] for row in kept))


def facing(pose: Pose) -> float:
    """Where a body looks, which at rest is -Y: radians from +X towards +Y."""
    forward = -matrices_from_quats(pose.local_quats[0])[:, 1]
    return math.atan2(float(forward[1]), float(forward[0]))
