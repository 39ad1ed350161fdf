"""One camera's lens from views of a board: as many freedoms as help with views that took no part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .adjustment import Adjusted, Corners, Freedoms, Rig, adjust, deviations, rms_px
from .board import Board, corners_m
from .detect import BoardView
from .lens import ASPECT, DISTORTION, FOCAL, board_pose, lens_changes, num_freedoms

FOCALS: Final = (0.35, 0.6, 1.0, 1.6, 2.6)  # tried at first, in the picture's larger side
FIRST_VIEWS: Final = 10  # with so many views
FOLDS: Final = 5
FEWEST_VIEWS: Final = 3
# What a lens may be before anything is seen: deviations of its freedoms, of the principal point as a share of the side.
PRIOR_FOCAL, PRIOR_ASPECT, PRIOR_PRINCIPAL = 1.0, 0.05, 0.1
PRIOR_BROWN: Final = (0.5, 1.0, 0.001, 0.001, 2.0)
PRIOR_FISHEYE: Final = (0.2, 0.2, 0.2, 0.2)
# Freedoms of every lens: focal length, principal point, k1, k2, and with little room p1 and p2, which most lenses have
# and which otherwise turn the camera; and those of some, in the groups that are tried.
BASIS_BROWN: Final = (FOCAL, 2, 3, DISTORTION, DISTORTION + 1, DISTORTION + 2, DISTORTION + 3)
BASIS_FISHEYE: Final = BASIS_BROWN[:5]
MORE_BROWN: Final = ((ASPECT,), (DISTORTION + 4,))
MORE_FISHEYE: Final = ((ASPECT,), (DISTORTION + 2,), (DISTORTION + 3,))
CLEARLY: Final = 0.98  # more freedoms that lower the error in new views by less are not taken
OUTLIER: Final = 4.0  # a view with so many times the usual error is left out
LEAST_OUTLIER_PX: Final = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFit:
    """A lens and how well the views determine it.

    Attributes:
        camera: with the identity as its pose.
        views: those that were used.
        num_dropped: views that did not fit the others.
        rms_px: root of the mean square distance of a corner from where it should be.
        held_out_px: the same in views that took no part; NaN for too few views.
        deviations: standard deviations of ``lens``'s freedoms, from leaving out views; zero for those not used.
    """

    camera: Calibration
    views: tuple[BoardView, ...]
    num_dropped: int
    rms_px: float
    held_out_px: float
    deviations: Float[ndarray, " k"]

    def called(self, name: str) -> "LensFit":
        """The same lens of a camera of this name."""
        return replace(self, camera=replace(self.camera, name=name))


def fit_lens(
    name: str, size: tuple[int, int], views: Sequence[BoardView], board: Board, *, is_fisheye: bool = False
) -> LensFit:
    """The lens of a camera with pictures of ``size`` (height, width) that saw the board in ``views``.

    Focal length, principal point, k1, k2 and a little tangential distortion; then whatever of a ratio of focal lengths
    and k3 (k3 and k4 of a fisheye) lowers the error in views that took no part, the most helpful first. Raises
    ValueError for fewer than three views.
    """
    if len(views) < FEWEST_VIEWS:
        raise ValueError(
            f"{name}: the board is seen in {len(views)} of its pictures, {FEWEST_VIEWS} or more are needed; film it "
            "whole, sharp, near and far, tilted, all over the picture"
        )
    corners, prior = corners_m(board), lens_prior(size, is_fisheye)
    free = np.isin(np.arange(len(prior)), BASIS_FISHEYE if is_fisheye else BASIS_BROWN)
    first = LensViews(views=tuple(views), corners=corners, prior=prior)
    rig = first.started(_guess(name, size, is_fisheye), free)
    errors = first.errors_px(rig)
    is_kept = errors <= max(LEAST_OUTLIER_PX, OUTLIER * float(np.median(errors)))
    kept, rig = first.subset(is_kept), Rig(cameras=rig.cameras, boards=rig.boards[is_kept])
    held_out_px, folds = float("nan"), []
    if len(kept.views) > FEWEST_VIEWS:
        free, held_out_px, folds = kept.chosen(rig, free)
    adjusted = kept.adjusted(rig, free)
    camera = adjusted.rig.cameras[0]
    spread = _spread([lens_changes(each, camera) for each in folds])
    return LensFit(
        camera=camera,
        views=kept.views,
        num_dropped=len(views) - len(kept.views),
        rms_px=rms_px(adjusted.residuals_px[0]),
        held_out_px=held_out_px,
        deviations=np.where(free, np.maximum(kept.deviations(adjusted.rig, free), spread), 0),
    )


def lens_prior(size: tuple[int, int], is_fisheye: bool) -> Float[ndarray, " k"]:
    """Standard deviations of a lens's freedoms before anything is seen, for pictures of ``size``."""
    side = PRIOR_PRINCIPAL * max(size)
    return np.array([PRIOR_FOCAL, PRIOR_ASPECT, side, side, *(PRIOR_FISHEYE if is_fisheye else PRIOR_BROWN)])


@dataclass(frozen=True, kw_only=True, eq=False)
class LensViews:
    """Views of one camera and what its lens may be before anything is seen; each has a board pose of its own.

    Attributes:
        views: at least one.
        corners: the board's.
        prior: standard deviations of the lens's freedoms.
    """

    views: tuple[BoardView, ...]
    corners: Float[ndarray, "m 3"]
    prior: Float[ndarray, " k"]

    def subset(self, chosen: Bool[ndarray, " v"]) -> "LensViews":
        """Some of the views."""
        return replace(self, views=tuple(view for view, is_in in zip(self.views, chosen, strict=True) if is_in))

    def posed(self, camera: Calibration) -> Rig:
        """The camera at the origin and the boards about where it sees them."""
        camera = replace(camera, camera_from_world=np.eye(4))
        return Rig(cameras=(camera,), boards=np.stack([board_pose(camera, view, self.corners) for view in self.views]))

    def adjusted(self, rig: Rig, free: Bool[ndarray, " k"] | None = None) -> Adjusted:
        """The boards and the free of the lens's freedoms where they suit the views best."""
        return adjust([self._seen], rig, self._freedoms(rig, free))

    def deviations(self, rig: Rig, free: Bool[ndarray, " k"]) -> Float[ndarray, " k"]:
        """Standard deviations of the lens's freedoms, if corners err independently."""
        return deviations([self._seen], rig, self._freedoms(rig, free))[0][6:]

    def _freedoms(self, rig: Rig, free: Bool[ndarray, " k"] | None) -> Freedoms:
        stays = np.zeros(num_freedoms(rig.cameras[0]))
        return Freedoms(poses=(False,), lenses=(stays if free is None else np.where(free, self.prior, 0),))

    @cached_property
    def _seen(self) -> Corners:
        return Corners.of(self.views, range(len(self.views)), self.corners)

    def errors_px(self, rig: Rig) -> Float[ndarray, " v"]:
        """Root of the mean square error of each view."""
        squares = np.square(self._seen.residuals_px(rig.cameras[0], rig.boards)).sum(axis=1)
        return np.sqrt(self._seen.by_view(squares) / [len(view.ids) for view in self.views])

    def rms_px(self, camera: Calibration) -> float:
        """The error with the lens as it is and the boards posed to suit it."""
        return rms_px(self.adjusted(self.posed(camera)).residuals_px[0])

    def started(self, guess: Calibration, free: Bool[ndarray, " k"]) -> Rig:
        """The lens from the one of several focal lengths that ends at the smallest usual error."""
        few = self.subset(np.arange(len(self.views)) % -(-len(self.views) // FIRST_VIEWS) == 0)
        found = []
        for focal in FOCALS:
            intrinsics = guess.intrinsics_px.copy()
            intrinsics[[0, 1], [0, 1]] *= focal
            rig = few.adjusted(few.posed(replace(guess, intrinsics_px=intrinsics)), free).rig
            found.append((float(np.median(few.errors_px(rig))), rig.cameras[0]))
        return self.adjusted(self.posed(min(found, key=lambda pair: pair[0])[1]), free).rig

    def chosen(self, rig: Rig, free: Bool[ndarray, " k"]) -> tuple[Bool[ndarray, " k"], float, list[Calibration]]:
        """The freedoms that new views ask for, the error in those, and the lenses without each fold of the views."""
        waiting = list(MORE_FISHEYE if rig.cameras[0].is_fisheye else MORE_BROWN)
        best_px, folds = self.held_out(rig, free)
        while waiting:
            trials = []
            for group in waiting:
                more = free | np.isin(np.arange(len(free)), group)
                trials.append((*self.held_out(rig, more), group, more))
            found_px, found, group, more = min(trials, key=lambda trial: trial[0])
            if found_px > CLEARLY * best_px:
                break
            free, best_px, folds = more, found_px, found
            waiting.remove(group)
        return free, best_px, folds

    def held_out(self, rig: Rig, free: Bool[ndarray, " k"]) -> tuple[float, list[Calibration]]:
        """The error in each fold of the views with the lens of the others, and those lenses."""
        count, residuals, lenses = min(FOLDS, len(self.views)), [], []
        for fold in range(count):
            is_out = np.arange(len(self.views)) % count == fold
            fitted = self.subset(~is_out).adjusted(replace(rig, boards=rig.boards[~is_out]), free).rig
            tested = self.subset(is_out).adjusted(Rig(cameras=fitted.cameras, boards=rig.boards[is_out]))
            residuals.append(tested.residuals_px[0])
            lenses.append(fitted.cameras[0])
        return rms_px(np.concatenate(residuals)), lenses


def _guess(name: str, size: tuple[int, int], is_fisheye: bool) -> Calibration:
    side = float(max(size))
    return Calibration(
        name=name,
        intrinsics_px=np.array([[side, 0, size[1] / 2], [0, side, size[0] / 2], [0, 0, 1]]),
        camera_from_world=np.eye(4),
        distortion=np.zeros(4 if is_fisheye else 5),
        size=size,
        is_fisheye=is_fisheye,
    )


def _spread(changes: Sequence[Float[ndarray, " k"]]) -> Float[ndarray, " k"] | float:
    """The jackknife's standard deviation (Efron and Stein, 1981), for views whose errors are not independent."""
    if not changes:
        return 0.0
    values = np.stack(changes)
    return np.sqrt((len(values) - 1) * np.mean((values - values.mean(axis=0)) ** 2, axis=0))
