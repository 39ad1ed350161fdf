"""How the clocks of videos differ, before it is known who is who in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from avatar.structs import Camera

from .same_person import PeopleSeen, pair_votes
from .synchronise import MotionSignal, landmark_motion, synchronise
from .triangulate import projection_matrices

TRACKS = 3  # of a video that are compared, those seen longest
MOMENTS = 60  # at which cameras are asked whether an offset can be
WORTH = 0.2  # votes that a motion of perfect correlation is worth
FEWEST = 8  # pictures that tell a motion


@dataclass(frozen=True, kw_only=True, eq=False)
class PeopleFilmed:
    """What one video shows of people, by its own clock.

    Attributes:
        times_s: of its pictures.
        seen: of people in them.
    """

    times_s: Float[ndarray, " f"]
    seen: PeopleSeen

    def signals(self) -> list[MotionSignal]:
        """How the people move who are seen longest."""
        points, trust = self.seen.points_px.numpy(), self.seen.confidences.numpy()
        counts = np.isfinite(points[..., 0, 0]).sum(axis=0)
        longest = [track for track in np.argsort(-counts, kind="stable")[:TRACKS] if counts[track] >= FEWEST]
        return [landmark_motion(points[:, track], self.times_s, trust[:, track]) for track in longest]

    def at(self, times_s: Float[ndarray, " m"]) -> PeopleSeen:
        """Who is seen in the pictures nearest to those times; nobody outside the video."""
        after = np.searchsorted(self.times_s, times_s).clip(1, len(self.times_s) - 1)
        rows = after - (times_s - self.times_s[after - 1] < self.times_s[after] - times_s)
        is_filmed = torch.from_numpy((times_s >= self.times_s[0]) & (times_s <= self.times_s[-1]))
        points = torch.where(is_filmed[:, None, None, None], self.seen.points_px[rows], torch.nan)
        return PeopleSeen(points_px=points, confidences=self.seen.confidences[rows])


def first_clocks(cameras: Sequence[Camera], filmed: Sequence[PeopleFilmed]) -> Float[ndarray, " c"]:
    """Seconds to add to each video's own time to get the first one's, roughly; zero where nothing tells.

    Each video is compared with the one that shows most: every two tracks give the offset at which they move most alike,
    and that at which people of the two cameras agree best in space is taken. Whose motion told it does not matter.
    """
    shown = [float(each.seen.confidences.sum()) for each in filmed]
    chief = int(np.argmax(shown))
    matrices = projection_matrices(cameras)
    offsets = np.zeros(len(filmed))
    for i, each in enumerate(filmed):
        if i != chief:
            offsets[i] = _offset(matrices[chief], matrices[i], filmed[chief], each)
    return offsets - offsets[0]


def _offset(matrix: Tensor, other_matrix: Tensor, filmed: PeopleFilmed, other: PeopleFilmed) -> float:
    """What is added to the other video's time to get the one's."""
    if min(len(filmed.times_s), len(other.times_s)) < FEWEST:
        return 0.0
    found = [synchronise(pair) for pair in product(filmed.signals(), other.signals())]
    trials = [(0.0, 0.0), *((float(each.offsets_s[1]), float(each.confidences[1])) for each in found)]

    def worth(trial: tuple[float, float]) -> float:
        offset_s, confidence = trial
        start_s = max(filmed.times_s[0], other.times_s[0] + offset_s)
        stop_s = min(filmed.times_s[-1], other.times_s[-1] + offset_s)
        times_s = np.linspace(start_s, stop_s, MOMENTS)
        votes = pair_votes(matrix, other_matrix, filmed.at(times_s), other.at(times_s - offset_s))
        if stop_s <= start_s or not votes.numel():
            return -1.0
        return float(votes.flatten(1).amax(dim=1).mean()) + WORTH * confidence

    return max(trials, key=worth)[0]
