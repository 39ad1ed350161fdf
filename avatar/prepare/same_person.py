"""The same person among several in all cameras.

Two cameras that see one person have each landmark on the other's epipolar line (Hartley and Zisserman 2004, chapter 9).
How well they do is a vote for or against two sightings being one person; the choice of one track or none in every
camera at every moment with the highest sum of votes, less a price for changing tracks, is a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from avatar.structs import Camera

from .triangulate import projection_matrices

SCALE = 0.06  # of the person's height: so far off, a landmark's vote is zero
CHANGE = 1.5  # votes of each other camera that outweigh a change of tracks
TOGETHER = 5  # moments within which cameras change tracks together
MAX_SWEEPS = 20
RARE = 0.05  # of the main person's size: less is no person to choose


@dataclass(frozen=True, kw_only=True, eq=False)
class PeopleSeen:
    """What one camera sees of people at each moment, in undistorted pictures.

    Attributes:
        points_px: landmarks of each track; NaN where it is not seen. Pixel centres at .5.
        confidences: 0 to 1.
    """

    points_px: Float[Tensor, "f k j 2"]
    confidences: Float[Tensor, "f k j"]

    def heights_px(self) -> Float[Tensor, "f k"]:
        """What the landmarks span from top to bottom; NaN where nobody is seen."""
        rows = self.points_px[..., 1]
        return rows.amax(dim=-1) - rows.amin(dim=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedPerson:
    """One person in all cameras.

    Attributes:
        tracks: at each moment in each camera; -1 where the camera does not see the person.
        size: mean over moments and cameras of the person's height in the picture, as a share of the picture's.
        agreement: mean vote, from -0.5 to 0.5, of two cameras that see the person at once; NaN for one camera alone.
    """

    tracks: Int[ndarray, "f c"]
    size: float
    agreement: float


def match_people(cameras: Sequence[Camera], seen: Sequence[PeopleSeen], max_people: int = 4) -> list[MatchedPerson]:
    """People by size, the largest for most of the time in most cameras first.

    Starting from every track, one camera after the other takes the tracks that get most votes from the others (exactly,
    by Viterbi's algorithm), until none changes. The largest person found is taken out and the rest matched again, until
    what is left is hardly ever seen.
    """
    crowd, people = _Crowd.of(cameras, seen), []
    while len(people) < max_people:
        starts = [(camera, track) for camera, sizes in enumerate(crowd.sizes) for track in range(sizes.shape[1])]
        best = max((crowd.person(*start) for start in starts), key=lambda person: person.size, default=None)
        if best is None or best.size <= RARE * max([best.size, *(person.size for person in people)]):
            break
        people.append(best)
        crowd = crowd.without(best)
    return people


@dataclass(frozen=True, kw_only=True, eq=False)
class _Crowd:
    """All people in all cameras.

    Attributes:
        votes: for each pair of cameras, at each moment, of each track of the one for each of the other: -0.5 to 0.5.
        sizes: for each camera the heights of people, as shares of the picture's; zero for who is not there.
    """

    votes: dict[tuple[int, int], Float[ndarray, "f _ _"]]
    sizes: tuple[Float[ndarray, "f _"], ...]

    @staticmethod
    def of(cameras: Sequence[Camera], seen: Sequence[PeopleSeen]) -> "_Crowd":
        matrices = projection_matrices(cameras)
        votes = {}
        for i, j in combinations(range(len(cameras)), 2):
            votes[i, j] = pair_votes(matrices[i], matrices[j], seen[i], seen[j]).numpy()
            votes[j, i] = votes[i, j].transpose(0, 2, 1)
        heights = [each.heights_px().nan_to_num().double().numpy() for each in seen]
        sizes = tuple(each / camera.height for each, camera in zip(heights, cameras, strict=True))
        return _Crowd(votes=votes, sizes=sizes)

    def without(self, person: MatchedPerson) -> "_Crowd":
        """Everybody else."""
        sizes = tuple(each.copy() for each in self.sizes)
        for camera, each in enumerate(sizes):
            steps = np.flatnonzero(person.tracks[:, camera] >= 0)
            each[steps, person.tracks[steps, camera]] = 0
        votes = {
            (i, j): each * (sizes[i][:, :, None] > 0) * (sizes[j][:, None] > 0) for (i, j), each in self.votes.items()
        }
        return _Crowd(votes=votes, sizes=sizes)

    def person(self, camera: int, track: int) -> MatchedPerson:
        """Who is on a track of a camera for most of its time."""
        tracks = np.full((len(self.sizes[0]), len(self.sizes)), -1)
        tracks[:, camera] = track
        others = [other for other in range(len(self.sizes)) if other != camera]
        order = sorted(others, key=lambda other: -self.sums(other, tracks).sum(axis=0).max(initial=0))
        tracks = self._settled(tracks, order)
        # Where most cameras change tracks together, it is the one first followed that went to another person.
        start, stop = steady(tracks)
        if stop - start < len(tracks):
            tracks[:start], tracks[stop:] = tracks[start], tracks[stop - 1]
            tracks = self._settled(tracks, [])
            start, stop = steady(tracks)
            tracks[:start], tracks[stop:] = -1, -1
        sizes = self._sizes(tracks)
        tracks = np.where(sizes > 0, tracks, -1)
        return MatchedPerson(tracks=tracks, size=float(sizes.mean()), agreement=self._agreement(tracks))

    def _settled(self, tracks: Int[ndarray, "f c"], first: Sequence[int]) -> Int[ndarray, "f c"]:
        """Tracks that no camera alone can better; the ``first`` cameras choose before the others do."""
        tracks, count = tracks.copy(), tracks.shape[1]
        for order in [first, *[range(count)] * MAX_SWEEPS]:
            before = tracks.copy()
            for camera in order:
                tracks[:, camera] = best_path(self.sums(camera, tracks), CHANGE * max(1, count - 1))
            if order is not first and (tracks == before).all():
                break
        return tracks

    def sums(self, camera: int, tracks: Int[ndarray, "f c"]) -> Float[ndarray, "f _"]:
        """The votes of the other cameras' tracks for each of a camera's, and very little for its present ones."""
        steps = np.arange(len(tracks))
        total = np.zeros(self.sizes[camera].shape)
        for other in range(tracks.shape[1]):
            if other != camera and self.sizes[other].shape[1]:
                votes = self.votes[camera, other][steps, :, tracks[:, other]]
                total += np.where(tracks[:, other, None] >= 0, votes, 0)
        known = np.flatnonzero(tracks[:, camera] >= 0)
        total[known, tracks[known, camera]] += 1e-6
        return total

    def _sizes(self, tracks: Int[ndarray, "f c"]) -> Float[ndarray, "f c"]:
        """Of the people on these tracks."""
        chosen = np.zeros(tracks.shape)
        for camera, sizes in enumerate(self.sizes):
            known = np.flatnonzero(tracks[:, camera] >= 0)
            chosen[known, camera] = sizes[known, tracks[known, camera]]
        return chosen

    def _agreement(self, tracks: Int[ndarray, "f c"]) -> float:
        found = [np.zeros(0)]
        for (i, j), votes in self.votes.items():
            steps = np.flatnonzero((tracks[:, i] >= 0) & (tracks[:, j] >= 0))
            found.append(votes[steps, tracks[steps, i], tracks[steps, j]])
        values = np.concatenate(found)
        return float(values.mean()) if len(values) else np.nan


def pair_votes(
    projection: Float[Tensor, "3 4"], other_projection: Float[Tensor, "3 4"], seen: PeopleSeen, other: PeopleSeen
) -> Float[Tensor, "f k l"]:
    """Votes of two cameras for each two of their tracks; zero where one is not seen.

    The mean over landmarks of ``1 / (1 + (d / SCALE)^2) - 0.5``, where d is the distance of landmark and epipolar line
    in heights of the person, the larger one of both pictures.
    """
    fundamental = _fundamental(projection, other_projection)
    left, right = seen.points_px.double()[:, :, None], other.points_px.double()[:, None]
    away = _line_distances(fundamental.mT, left, right) / other.heights_px()[:, None, :, None]
    back = _line_distances(fundamental, right, left) / seen.heights_px()[:, :, None, None]
    weights = seen.confidences[:, :, None] * other.confidences[:, None]
    distances = torch.maximum(away, back)
    weights = torch.where(distances.isfinite(), weights.double(), 0)
    scores = 1 / (1 + (distances.nan_to_num() / SCALE).square())
    total = weights.sum(dim=-1)
    return torch.where(total > 0, (weights * scores).sum(dim=-1) / total.clamp_min(1e-9) - 0.5, 0)


def best_path(values: Float[ndarray, "f k"], change: float) -> Int[ndarray, " f"]:
    """The states of highest sum of values, less ``change`` for each change of state (Viterbi 1967); -1 is worth zero.

    To and from -1 is half a change.
    """
    values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    count = values.shape[1]
    price = np.full((count, count), change)
    price[-1], price[:, -1] = change / 2, change / 2
    np.fill_diagonal(price, 0)
    total, came_from = values[0], np.zeros(values.shape, np.int64)
    for step in range(1, len(values)):
        gains = total[:, None] - price
        came_from[step] = gains.argmax(axis=0)
        total = gains.max(axis=0) + values[step]
    path = np.full(len(values), total.argmax())
    for step in range(len(values) - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return np.where(path == count - 1, -1, path)


def steady(tracks: Int[ndarray, "f c"]) -> tuple[int, int]:
    """The longest time, from and until, over which at no moment most cameras change tracks."""
    later = tracks[np.minimum(np.arange(len(tracks)) + TOGETHER, len(tracks) - 1)]
    is_known = (tracks >= 0) & (later >= 0)
    kept, changed = (is_known & (tracks == later)).sum(axis=1), (is_known & (tracks != later)).sum(axis=1)
    ends = [-1, *np.flatnonzero(changed > kept).tolist(), len(tracks)]
    start, stop = max(pairwise(ends), key=lambda pair: pair[1] - pair[0])
    return start + 1, stop


def _fundamental(projection: Float[Tensor, "3 4"], other: Float[Tensor, "3 4"]) -> Float[Tensor, "3 3"]:
    """The matrix F with ``other_px^T F px = 0`` (Hartley and Zisserman 2004, equation 9.1)."""
    inverse = torch.linalg.inv(projection[:, :3])
    centre = -inverse @ projection[:, 3]
    x, y, z = (other[:, :3] @ centre + other[:, 3]).tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=projection.dtype)
    return cross @ other[:, :3] @ inverse


def _line_distances(fundamental_t: Tensor, points_px: Tensor, others_px: Tensor) -> Tensor:
    """Distance of ``others_px`` from the epipolar lines of ``points_px``, whose coefficients are ``p @ F^T``."""
    lines = points_px @ fundamental_t[:2] + fundamental_t[2]
    values = (others_px * lines[..., :2]).sum(dim=-1) + lines[..., 2]
    return values.abs() / torch.linalg.vector_norm(lines[..., :2], dim=-1).clamp_min(1e-12)
