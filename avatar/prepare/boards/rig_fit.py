"""Where the cameras stand, from moments in which several of them see the board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .adjustment import Corners, Freedoms, Rig, adjust, deviations, rms_px
from .board import Board, corners_m, symmetries
from .detect import BoardView
from .lens import project
from .lens_fit import OUTLIER, LensFit, LensViews

FAR: Final = 0.02  # a board this share of the picture's larger side off is not where the camera saw it
MOST_HYPOTHESES: Final = 40
RIVAL_RAD: Final = 0.2  # poses of cameras that differ by more are different ones
RIVALS: Final = 0.6  # a pose is no choice if another explains this share of its moments as well


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """Two cameras that saw the board together.

    Attributes:
        first, second: their numbers.
        second_from_first: the pose between them.
        num_moments: in so many moments they agree on it.
    """

    first: int
    second: int
    second_from_first: Float[ndarray, "4 4"]
    num_moments: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RigFit:
    """Cameras in one world, that of the first, in metres.

    Attributes:
        cameras: with poses and refined lenses.
        moments: those in which several cameras saw the board where it was.
        boards: ``world_from_board`` at the moments.
        views: of each camera at those moments, numbered alike.
        residuals_px: of each camera's corners, view by view.
        pose_deviations: of turn (rad) and shift (m) of each camera in its own axes, to the first.
        links: the pairs of cameras that tie the rig together.
        num_dropped: views in which the board was elsewhere.
    """

    cameras: tuple[Calibration, ...]
    moments: tuple[int, ...]
    boards: Float[ndarray, "b 4 4"]
    views: tuple[tuple[BoardView, ...], ...]
    residuals_px: tuple[Float[ndarray, "_ 2"], ...]
    pose_deviations: Float[ndarray, "c 6"]
    links: tuple[Link, ...]
    num_dropped: int

    @property
    def rms_px(self) -> tuple[float, ...]:
        """Root of the mean square distance of a corner from where all cameras say it is, for each camera."""
        return tuple(rms_px(residuals) for residuals in self.residuals_px)


def fit_rig(lenses: Sequence[LensFit], views: Sequence[Sequence[BoardView]], board: Board) -> RigFit:
    """The cameras of ``lenses`` where they agree best on boards that several see at one moment.

    Pairs of cameras are placed to each other, the pairs with the most moments join them all, and then cameras, lenses
    (as far as their own views leave them open) and boards are adjusted together. Raises ValueError that names the
    cameras that do not hang together with the others, and says what to film.
    """
    seer = _Seer.of([lens.camera for lens in lenses], views, board)
    links = _spanning(len(lenses), seer.links(), [lens.camera.name for lens in lenses])
    cameras = seer.placed(links)
    placed = seer.boards(cameras)
    fit = _adjusted(cameras, placed, lenses, board)
    errors = [_by_view(residuals, own) for residuals, own in zip(fit.residuals_px, fit.views, strict=True)]
    limit = OUTLIER * max(0.25, float(np.median(np.concatenate(errors))))
    kept = tuple(
        tuple(view for view, error in zip(own, each, strict=True) if error <= limit)
        for own, each in zip(fit.views, errors, strict=True)
    )
    poses = dict(zip(fit.moments, fit.boards, strict=True))
    fit = _adjusted(fit.cameras, _shared(poses, kept), lenses, board)
    num_seen = sum(len(each) for each in seer.shared_views())
    return replace(fit, links=tuple(links), num_dropped=num_seen - sum(map(len, fit.views)))


Placed = tuple[dict[int, Float[ndarray, "4 4"]], tuple[tuple[BoardView, ...], ...]]


def _shared(poses: Mapping[int, Float[ndarray, "4 4"]], views: Sequence[Sequence[BoardView]]) -> Placed:
    """Boards that two cameras or more see, and their views."""
    moments = [view.moment for own in views for view in own]
    shared = {moment: poses[moment] for moment in sorted(set(moments)) if moments.count(moment) > 1}
    return shared, tuple(tuple(view for view in own if view.moment in shared) for own in views)


def _adjusted(cameras: Sequence[Calibration], placed: Placed, lenses: Sequence[LensFit], board: Board) -> RigFit:
    poses, views = placed
    order = {moment: index for index, moment in enumerate(poses)}
    seen = [Corners.of(own, [order[view.moment] for view in own], corners_m(board)) for own in views]
    start = Rig(cameras=tuple(cameras), boards=np.stack(list(poses.values())))
    freedoms = Freedoms(poses=(False, *[True] * (len(cameras) - 1)), lenses=tuple(lens.deviations for lens in lenses))
    adjusted = adjust(seen, start, freedoms)
    return RigFit(
        cameras=adjusted.rig.cameras,
        moments=tuple(poses),
        boards=adjusted.rig.boards,
        views=views,
        residuals_px=adjusted.residuals_px,
        pose_deviations=np.stack([each[:6] for each in deviations(seen, adjusted.rig, freedoms)]),
        links=(),
        num_dropped=0,
    )


def _by_view(residuals: Float[ndarray, "n 2"], views: Sequence[BoardView]) -> Float[ndarray, " v"]:
    ends = np.cumsum([len(view.ids) for view in views])
    return np.array([rms_px(each) for each in np.split(residuals, ends[:-1])]) if len(views) else np.zeros(0)


def _spanning(count: int, links: Sequence[Link], names: Sequence[str]) -> list[Link]:
    """The strongest links that join all cameras to the first, in an order in which they can be followed (Prim)."""
    joined, tree = {0}, []
    while len(joined) < count:
        open_links = [link for link in links if (link.first in joined) != (link.second in joined)]
        if not open_links:
            apart = ", ".join(name for index, name in enumerate(names) if index not in joined)
            together = ", ".join(names[index] for index in sorted(joined))
            raise ValueError(
                f"{apart}: no moment shows where they stand to {together}; film the board, turning it, where a camera "
                "of each group sees it at the same time (and check that the videos are synchronised)"
            )
        tree.append(max(open_links, key=lambda link: link.num_moments))
        joined |= {tree[-1].first, tree[-1].second}
    return tree


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seer:
    """What each camera says of the boards by itself.

    Attributes:
        cameras: lenses, without poses.
        views: of each camera, by moment.
        poses: ``camera_from_board`` of each camera, by moment.
        corners: the board's.
        symmetries: numberings of the corners that look alike, and the turns of the board that lead to them.
    """

    cameras: tuple[Calibration, ...]
    views: tuple[dict[int, BoardView], ...]
    poses: tuple[dict[int, Float[ndarray, "4 4"]], ...]
    corners: Float[ndarray, "n 3"]
    symmetries: Int[ndarray, "s n"]
    turns: Float[ndarray, "s 4 4"]

    @staticmethod
    def of(cameras: Sequence[Calibration], views: Sequence[Sequence[BoardView]], board: Board) -> "_Seer":
        corners, poses = corners_m(board), []
        for camera, own in zip(cameras, views, strict=True):
            posing = LensViews(views=tuple(own), corners=corners, prior=np.zeros(0))
            boards = posing.adjusted(posing.posed(camera)).rig.boards if own else np.zeros((0, 4, 4))
            poses.append({view.moment: pose for view, pose in zip(own, boards, strict=True)})
        numberings = symmetries(board)
        return _Seer(
            cameras=tuple(cameras),
            views=tuple({view.moment: view for view in own} for own in views),
            poses=tuple(poses),
            corners=corners,
            symmetries=numberings,
            turns=np.stack([_turn(corners, corners[numbers]) for numbers in numberings]),
        )

    def shared_views(self) -> list[list[BoardView]]:
        """Those of moments that two cameras or more see."""
        moments = [moment for own in self.views for moment in own]
        return [[view for moment, view in own.items() if moments.count(moment) > 1] for own in self.views]

    def links(self) -> list[Link]:
        """Of every pair of cameras that saw the board together."""
        pairs = combinations(range(len(self.cameras)), 2)
        return [link for first, second in pairs if (link := self._link(first, second)) is not None]

    def _link(self, first: int, second: int) -> Link | None:
        """The pose that explains the most moments; None where none does, or another nearly as many."""
        moments = [moment for moment in self.poses[first] if moment in self.poses[second]]
        if not moments:
            return None
        chosen = moments[:: -(-len(moments) // MOST_HYPOTHESES)]
        hypotheses = [
            self.poses[second][moment] @ turn @ np.linalg.inv(self.poses[first][moment])
            for moment in chosen
            for turn in self.turns
        ]
        misses = np.stack([self._misses(second, first, pose, moments) for pose in hypotheses])
        costs = np.minimum(misses, 1).sum(axis=1)
        best = int(np.argmin(costs))
        agreeing = len(moments) - costs
        is_rival = [_angle(pose, hypotheses[best]) > RIVAL_RAD for pose in hypotheses]
        if max(agreeing[is_rival], default=0.0) > RIVALS * agreeing[best]:
            return None
        number = int((misses[best] < 1).sum())
        return Link(first=first, second=second, second_from_first=hypotheses[best], num_moments=number)

    def _misses(
        self, second: int, first: int, second_from_first: Float[ndarray, "4 4"], moments: Sequence[int]
    ) -> Float[ndarray, " m"]:
        """How far boards that the first camera saw are from where the second saw them, 1 is too far."""
        return np.array(
            [self.fit_numbering(second, moment, second_from_first @ self.poses[first][moment])[0] for moment in moments]
        )

    def fit_numbering(
        self, camera: int, moment: int, camera_from_board: Float[ndarray, "4 4"]
    ) -> tuple[float, BoardView]:
        """How far a camera's view is from a board in this pose, 1 is too far, and the view numbered to suit it."""
        points = self.corners @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
        lens, view = self.cameras[camera], self.views[camera][moment]
        pixels = project(lens, points)[0]
        height, width = lens.size or (1, 1)
        numbered = [view.numbered(numbers) for numbers in self.symmetries]
        misses = [rms_px(pixels[each.ids] - each.points_px) / (FAR * max(height, width)) for each in numbered]
        best = int(np.argmin(misses))
        return (misses[best] if (points[:, 2] > 0).all() else np.inf), numbered[best]

    def placed(self, links: Sequence[Link]) -> tuple[Calibration, ...]:
        """The cameras along the links, in the axes of the first."""
        poses = {0: np.eye(4)}
        for link in links:
            if link.first in poses:
                poses[link.second] = link.second_from_first @ poses[link.first]
            else:
                poses[link.first] = np.linalg.inv(link.second_from_first) @ poses[link.second]
        return tuple(replace(camera, camera_from_world=poses[index]) for index, camera in enumerate(self.cameras))

    def boards(self, cameras: Sequence[Calibration]) -> Placed:
        """Each board where the camera has it with which the others agree best, and the views that agree with that."""
        poses: dict[int, Float[ndarray, "4 4"]] = {}
        views: list[list[BoardView]] = [[] for _ in cameras]
        for moment in sorted({moment for own in self.views for moment in own}):
            seeing = [index for index, own in enumerate(self.views) if moment in own]
            trials = []
            for index in seeing:
                pose = np.linalg.inv(cameras[index].camera_from_world) @ self.poses[index][moment]
                found = [self.fit_numbering(each, moment, cameras[each].camera_from_world @ pose) for each in seeing]
                trials.append((sum(min(miss, 1) for miss, _ in found), pose, found))
            _, pose, found = min(trials, key=lambda trial: trial[0])
            agreeing = [(index, view) for index, (miss, view) in zip(seeing, found, strict=True) if miss < 1]
            if len(agreeing) > 1:
                poses[moment] = pose
                for index, view in agreeing:
                    views[index].append(view)
        return poses, tuple(map(tuple, views))


def _turn(corners: Float[ndarray, "n 3"], turned: Float[ndarray, "n 3"]) -> Float[ndarray, "4 4"]:
    """The turn about the board's normal that takes each corner where another was."""
    middle = corners.mean(axis=0)
    angle = np.arctan2(*(turned - middle)[0, 1::-1]) - np.arctan2(*(corners - middle)[0, 1::-1])
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = middle - pose[:3, :3] @ middle
    return pose


def _angle(first: Float[ndarray, "4 4"], second: Float[ndarray, "4 4"]) -> float:
    cosine = (np.trace(first[:3, :3].T @ second[:3, :3]) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1, 1)))
