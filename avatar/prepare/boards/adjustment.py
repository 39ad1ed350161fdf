"""Cameras and boards moved together until the corners are where they were seen: bundle adjustment (Triggs et al.,
"Bundle Adjustment - A Modern Synthesis", 1999) with boards, whose corners are known, instead of points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.descent import levenberg_marquardt

from .detect import BoardView
from .lens import lens_changes, moved_lens, project

MIN_SIGMA_PX = 0.005
CUT = 6.0  # a corner this many standard deviations off counts a quarter


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """Cameras, and ``world_from_board`` at every moment."""

    cameras: tuple[Calibration, ...]
    boards: Float[ndarray, "b 4 4"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Corners:
    """All corners that one camera saw, view by view.

    Attributes:
        on_board: in the board's axes, metres.
        points_px: where they were seen.
        boards: which of the rig's boards they belong to.
        starts: the first corner of every view.
    """

    on_board: Float[ndarray, "n 3"]
    points_px: Float[ndarray, "n 2"]
    boards: Int[ndarray, " n"]
    starts: Int[ndarray, " v"]

    @staticmethod
    def of(views: Sequence[BoardView], boards: Sequence[int], corners: Float[ndarray, "m 3"]) -> "Corners":
        """Of views whose boards are those of the rig with the numbers ``boards``."""
        counts = [len(view.ids) for view in views]
        ids = np.concatenate([view.ids for view in views]) if counts else np.zeros(0, np.int64)
        return Corners(
            on_board=corners[ids],
            points_px=np.concatenate([view.points_px for view in views]) if counts else np.zeros((0, 2)),
            boards=np.repeat(np.array(boards, np.int64), counts),
            starts=np.cumsum([0, *counts[:-1]]) if counts else np.zeros(0, np.int64),
        )

    def in_camera(self, camera: Calibration, boards: Float[ndarray, "b 4 4"]) -> Float[ndarray, "n 3"]:
        """In the camera's axes."""
        poses = (camera.camera_from_world @ boards)[self.boards]
        return np.einsum("nij,nj->ni", poses[:, :3, :3], self.on_board) + poses[:, :3, 3]

    def residuals_px(self, camera: Calibration, boards: Float[ndarray, "b 4 4"]) -> Float[ndarray, "n 2"]:
        """Where corners should be less where they were seen."""
        return (
            project(camera, self.in_camera(camera, boards))[0] - self.points_px if len(self.boards) else self.points_px
        )

    def by_view(self, values: Float[ndarray, "n ..."]) -> Float[ndarray, "v ..."]:
        """Sums over the corners of each view."""
        return np.add.reduceat(values, self.starts, axis=0) if len(self.starts) else values


@dataclass(frozen=True, kw_only=True, eq=False)
class Freedoms:
    """What may move of each camera.

    Attributes:
        poses: whether its place may.
        lenses: standard deviations of the freedoms of its lens before anything is seen; zero for what is to stay.
    """

    poses: tuple[bool, ...]
    lenses: tuple[Float[ndarray, " _"], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Adjusted:
    """The result.

    Attributes:
        rig: the cameras and boards that explain the corners best.
        residuals_px: of each camera's corners.
    """

    rig: Rig
    residuals_px: tuple[Float[ndarray, "_ 2"], ...]


def adjust(seen: Sequence[Corners], start: Rig, freedoms: Freedoms, passes: int = 2, steps: int = 15) -> Adjusted:
    """Levenberg's and Marquardt's steps with corners far off counting less; their scale is estimated in each pass."""
    problem, rig = _Problem(seen=tuple(seen), start=start, freedoms=freedoms), start
    for _ in range(passes):
        rig = problem.solve(rig, problem.sigma_px(rig), steps)
    return Adjusted(rig=rig, residuals_px=problem.residuals_px(rig))


def deviations(seen: Sequence[Corners], rig: Rig, freedoms: Freedoms) -> tuple[Float[ndarray, " _"], ...]:
    """Standard deviations of each adjusted camera's turn and shift in its own axes and of its lens, for corners that
    err independently of each other."""
    problem = _Problem(seen=tuple(seen), start=rig, freedoms=freedoms)
    return problem.deviations(rig, problem.sigma_px(rig))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    seen: tuple[Corners, ...]
    start: Rig
    freedoms: Freedoms

    def residuals_px(self, rig: Rig) -> tuple[Float[ndarray, "_ 2"], ...]:
        pairs = zip(self.seen, rig.cameras, strict=True)
        return tuple(corners.residuals_px(camera, rig.boards) for corners, camera in pairs)

    def sigma_px(self, rig: Rig) -> float:
        """From the median length of residuals, which is that of a two-dimensional normal distribution."""
        lengths = np.linalg.norm(np.concatenate(self.residuals_px(rig)), axis=1)
        return max(MIN_SIGMA_PX, float(np.median(lengths)) / 1.1774)

    def solve(self, rig: Rig, sigma_px: float, steps: int) -> Rig:
        def linearised(rig: Rig) -> Callable[[float], Rig]:
            matrix, slope = self.normal_equations(rig, sigma_px)
            return lambda damping: self.moved(rig, _solved(matrix, slope, damping))

        return levenberg_marquardt(rig, lambda trial: self.cost(trial, sigma_px), linearised, steps, tolerance=1e-5)

    def cost(self, rig: Rig, sigma_px: float) -> float:
        """A residual r costs r^2 / (1 + r^2 / cut^2), in variances; infinite where a lens has no such ray."""
        squares = np.square(np.concatenate(self.residuals_px(rig))).sum(axis=1) / sigma_px**2
        total = float((squares / (1 + squares / CUT**2)).sum())
        for camera, first, prior in zip(rig.cameras, self.start.cameras, self.freedoms.lenses, strict=True):
            free = prior > 0
            total += float(np.square(lens_changes(camera, first)[free] / prior[free]).sum())
        return total if np.isfinite(total) else np.inf

    def normal_equations(self, rig: Rig, sigma_px: float) -> tuple[Float[ndarray, "p p"], Float[ndarray, " p"]]:
        """Second derivatives and slope of half the cost, of the cameras' freedoms and then the boards'."""
        size = self._boards[-1, -1] + 1
        matrix, slope = np.zeros((size, size)), np.zeros(size)
        for index, (corners, camera, place) in enumerate(zip(self.seen, rig.cameras, self._cameras, strict=True)):
            prior, lens = self.freedoms.lenses[index], place[6:]
            precision = np.where(prior > 0, np.where(prior > 0, prior, 1) ** -2.0, 0)
            matrix[lens, lens] += precision
            slope[lens] += precision * lens_changes(camera, self.start.cameras[index])
            if len(corners.starts):
                blocks = _Blocks.of(corners, camera, rig.boards, sigma_px)
                boards = self._boards[corners.boards[corners.starts]]
                matrix[np.ix_(place, place)] += blocks.cameras
                matrix[place[:, None], boards[:, None]] += blocks.mixed
                matrix[boards[:, :, None], place] += blocks.mixed.transpose(0, 2, 1)
                matrix[boards[:, :, None], boards[:, None]] += blocks.boards
                slope[place] += blocks.camera_slope
                slope[boards] += blocks.board_slope
        return matrix[np.ix_(self._free, self._free)], slope[self._free]

    def moved(self, rig: Rig, step: Float[ndarray, " p"]) -> Rig:
        """The rig after a step of all that is free."""
        whole = np.zeros(self._boards[-1, -1] + 1)
        whole[self._free] = step
        cameras = tuple(
            replace(
                moved_lens(camera, whole[place[6:]]),
                camera_from_world=_small_pose(whole[place[:6]]) @ camera.camera_from_world,
            )
            for camera, place in zip(rig.cameras, self._cameras, strict=True)
        )
        return Rig(cameras=cameras, boards=rig.boards @ np.stack([_small_pose(whole[place]) for place in self._boards]))

    def deviations(self, rig: Rig, sigma_px: float) -> tuple[Float[ndarray, " _"], ...]:
        covariance = np.linalg.pinv(self.normal_equations(rig, sigma_px)[0], hermitian=True)
        variances = np.zeros(self._boards[-1, -1] + 1)
        variances[self._free] = covariance.diagonal().clip(0)
        return tuple(np.sqrt(variances[place]) for place in self._cameras)

    @cached_property
    def _cameras(self) -> list[Int[ndarray, " _"]]:
        """Where the freedoms of every camera stand: turn, shift, lens."""
        ends = np.cumsum([6 + len(prior) for prior in self.freedoms.lenses])
        return [np.arange(end - 6 - len(prior), end) for end, prior in zip(ends, self.freedoms.lenses, strict=True)]

    @cached_property
    def _boards(self) -> Int[ndarray, "b 6"]:
        """Where those of the boards stand, after the cameras': turn and shift in their own axes."""
        return self._cameras[-1][-1] + 1 + np.arange(6 * len(self.start.boards)).reshape(-1, 6)

    @cached_property
    def _free(self) -> Int[ndarray, " p"]:
        """Those that may move."""
        free = [
            np.concatenate([np.full(6, may_move), prior > 0])
            for may_move, prior in zip(self.freedoms.poses, self.freedoms.lenses, strict=True)
        ]
        return np.flatnonzero(np.concatenate([*free, np.ones(self._boards.size, bool)]))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Blocks:
    """One camera's part of the normal equations."""

    cameras: Float[ndarray, "k k"]
    mixed: Float[ndarray, "v k 6"]
    boards: Float[ndarray, "v 6 6"]
    camera_slope: Float[ndarray, " k"]
    board_slope: Float[ndarray, "v 6"]

    @staticmethod
    def of(corners: Corners, camera: Calibration, boards: Float[ndarray, "b 4 4"], sigma_px: float) -> "_Blocks":
        points = corners.in_camera(camera, boards)
        pixels, by_point, by_lens = project(camera, points)
        residuals = pixels - corners.points_px
        turns = camera.camera_from_world[:3, :3] @ boards[corners.boards, :3, :3]
        by_shift = by_point @ turns
        by_camera = np.concatenate([_by_turn(by_point, points), by_point, by_lens], axis=2)
        by_board = np.concatenate([_by_turn(by_shift, corners.on_board), by_shift], axis=2)
        weights = (1 + np.square(residuals).sum(axis=1) / (CUT * sigma_px) ** 2) ** -2 / sigma_px**2
        weighted = (weights[:, None, None] * by_camera).transpose(0, 2, 1)
        weighted_board = (weights[:, None, None] * by_board).transpose(0, 2, 1)
        return _Blocks(
            cameras=(weighted @ by_camera).sum(axis=0),
            mixed=corners.by_view(weighted @ by_board),
            boards=corners.by_view(weighted_board @ by_board),
            camera_slope=(weighted @ residuals[..., None])[..., 0].sum(axis=0),
            board_slope=corners.by_view((weighted_board @ residuals[..., None])[..., 0]),
        )


def _solved(matrix: Float[ndarray, "p p"], slope: Float[ndarray, " p"], damping: float) -> Float[ndarray, " p"]:
    diagonal = matrix.diagonal()
    return -np.linalg.solve(matrix + np.diag(damping * diagonal + 1e-12 * diagonal.max()), slope)


def _by_turn(by_point: Float[ndarray, "n 2 3"], points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 2 3"]:
    """Derivatives to a small turn of the points about the origin of their axes."""
    return np.cross(points[:, None], by_point)


def _small_pose(step: Float[ndarray, "6"]) -> Float[ndarray, "4 4"]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(step[:3])[0], step[3:]
    return pose


def rms_px(residuals: Float[ndarray, "n 2"]) -> float:
    """Root of the mean square length; NaN for none."""
    return float(np.sqrt(np.square(residuals).sum(axis=1).mean())) if len(residuals) else float("nan")
