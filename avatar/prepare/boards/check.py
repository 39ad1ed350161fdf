"""Is a calibration right? What boards say of the lenses in it: landmarks of a person cannot show distortion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration

from .adjustment import rms_px
from .board import Board, corners_m
from .detect import BoardView, find_board
from .lens import ASPECT, DISTORTION, FOCAL, PRINCIPAL
from .lens_fit import LensFit, LensViews, fit_lens, lens_prior

Part = Literal["picture size", "focal length", "principal point", "distortion"]

# The freedoms of each part of a lens.
PARTS: Final[dict[Part, slice]] = {
    "focal length": slice(FOCAL, ASPECT + 1),
    "principal point": PRINCIPAL,
    "distortion": slice(DISTORTION, None),
}
RISE: Final = 1.1  # a part is wrong if keeping it raises the error by this factor,
SURELY: Final = 3.0  # and its change is so many standard deviations
SCALED: Final = 0.02  # focal length and principal point within this of one common scale: pictures of another size


@dataclass(frozen=True, kw_only=True)
class LensFault:
    """A part of a lens that the board contradicts.

    Attributes:
        part: what is wrong.
        given, found: the file's and the board's values: height and width in pixels; focal lengths or the principal
            point along x and y in pixels, pixel centres at .5; the coefficients of distortion.
        deviations: standard deviations of ``found``, zero where it has none.
        rms_px: what remains if this part stays as given and all others follow.
    """

    part: Part
    given: tuple[float, ...]
    found: tuple[float, ...]
    deviations: tuple[float, ...] = ()
    rms_px: float = float("nan")

    def __str__(self) -> str:
        match self.part:
            case "picture size":
                return (
                    f"the picture size is wrong: the calibration is for {_size(self.given)}, the pictures are as if "
                    f"of {_size(self.found)} (width x height)"
                )
            case "focal length":
                change = 100 * (np.mean(self.found) / np.mean(self.given) - 1)
                return f"the focal length is wrong by {change:+.2f} %: {self._values(1)} px"
            case "principal point":
                x, y = np.subtract(self.found, self.given)
                return f"the principal point is wrong by ({x:+.1f}, {y:+.1f}) px: {self._values(1)} px"
            case "distortion":
                return f"the distortion is wrong: {self._values(3)}"

    def _values(self, digits: int) -> str:
        given, found = (", ".join(f"{value:.{digits}f}" for value in each) for each in (self.given, self.found))
        spread = ", ".join(f"{value:.{digits}f}" for value in self.deviations)
        return f"given ({given}), found ({found}) +- ({spread})"


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraCheck:
    """What the board says of one camera.

    Attributes:
        name: the camera's.
        num_views: pictures in which the board was found.
        given_px: root of the mean square distance of a corner with the lens as given and the board posed to suit it.
        refitted_px: the same with the best lens.
        fit: that lens; None where the board was seen too seldom.
        faults: the parts that are wrong, those that matter most first.
    """

    name: str
    num_views: int
    given_px: float
    refitted_px: float
    fit: LensFit | None
    faults: tuple[LensFault, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a user should know, each a sentence that names the camera."""
        if self.fit is None:
            return (f"{self.name}: the board is seen in {self.num_views} pictures, too few to check the lens",)
        errors = f"corners of the board are {self.given_px:.2f} px off, {self.refitted_px:.2f} px with the best lens"
        if not self.faults:
            return (f"{self.name}: the lens is right; {errors}",)
        return (*(f"{self.name}: {fault}" for fault in self.faults), f"{self.name}: {errors}; calibrate it again")


def check_calibration(
    calibrations: Sequence[Calibration],
    board_pictures: Mapping[str, Iterable[UInt8[ndarray, "h w 3"]]],
    board: Board,
) -> list[CameraCheck]:
    """What pictures of a board, by the names of cameras, say of their calibrations.

    Cameras without pictures are left out. Raises ValueError for pictures of a camera that is not calibrated, or of
    several sizes.
    """
    known = {calibration.name: calibration for calibration in calibrations}
    if unknown := sorted(board_pictures.keys() - known.keys()):
        raise ValueError(f"check_calibration: expected pictures of the cameras {', '.join(known)}; got {unknown[0]!r}")
    checks = []
    for name, pictures in board_pictures.items():
        views, sizes = [], set()
        for moment, picture in enumerate(pictures):
            sizes.add(picture.shape[:2])
            if (view := find_board(picture, board, moment)) is not None:
                views.append(view)
        if len(sizes) > 1:
            raise ValueError(f"{name}: has pictures of several sizes (h x w), {sorted(sizes)}; keep those of one")
        if sizes:
            checks.append(check_views(known[name], sizes.pop(), views, board))
    return checks


def check_views(
    calibration: Calibration, size: tuple[int, int], views: Sequence[BoardView], board: Board
) -> CameraCheck:
    """What views of the board in pictures of ``size`` (height, width) say of one camera."""
    name, num_views = calibration.name, len(views)
    try:
        fit = fit_lens(name, size, views, board, is_fisheye=calibration.is_fisheye)
    except ValueError:
        return CameraCheck(name=name, num_views=num_views, given_px=np.nan, refitted_px=np.nan, fit=None, faults=())
    size_fault, given = _check_size(calibration, size, fit)
    used = LensViews(views=fit.views, corners=corners_m(board), prior=lens_prior(size, given.is_fisheye))
    faults = [fault for part in PARTS if (fault := _check_part(part, given, fit, used)) is not None]
    faults.sort(key=lambda fault: -fault.rms_px)
    return CameraCheck(
        name=name,
        num_views=num_views,
        given_px=used.rms_px(given),
        refitted_px=fit.rms_px,
        fit=fit,
        faults=(*([size_fault] if size_fault else []), *faults),
    )


def _check_size(calibration: Calibration, size: tuple[int, int], fit: LensFit) -> tuple[LensFault | None, Calibration]:
    """Whether the calibration is for pictures of another size, and the calibration for those that are."""
    given, found = calibration.intrinsics_px, fit.camera.intrinsics_px
    ratios = np.array([found[0, 0] / given[0, 0], found[1, 1] / given[1, 1], *(found[:2, 2] / given[:2, 2])])
    scale = float(ratios[:2].mean())
    if abs(scale - 1) > 2 * SCALED and np.abs(ratios / scale - 1).max() < SCALED:
        meant = (round(size[0] / scale), round(size[1] / scale))
    elif calibration.size is not None and calibration.size != size:
        meant, scale = calibration.size, 1.0
    else:
        return None, calibration
    factors = np.array([[scale], [scale], [1.0]])
    fault = LensFault(part="picture size", given=tuple(map(float, meant)), found=tuple(map(float, size)))
    return fault, replace(calibration, intrinsics_px=given * factors, size=size)


def _check_part(part: Part, given: Calibration, fit: LensFit, views: LensViews) -> LensFault | None:
    """Keep the part as given, let the others follow, and see whether the corners suffer."""
    kept, free = _with_part(fit.camera, given, part), fit.deviations > 0
    free[PARTS[part]] = False
    if part == "distortion":
        free = np.concatenate([free[:DISTORTION], np.zeros(len(given.distortion), bool)])
        views = replace(views, prior=np.concatenate([views.prior[:DISTORTION], np.ones(len(given.distortion))]))
    rms = rms_px(views.adjusted(views.posed(kept), free).residuals_px[0])
    before, after, deviations = _values(given, part), _values(fit.camera, part), _deviations(fit, part)
    is_sure = part == "distortion" or bool((np.abs(after - before) > SURELY * deviations).any())
    if rms < RISE * fit.rms_px or not is_sure:
        return None
    given_values, found, spread = (tuple(each.tolist()) for each in (before, after, deviations))
    return LensFault(part=part, given=given_values, found=found, deviations=spread, rms_px=rms)


def _with_part(camera: Calibration, given: Calibration, part: Part) -> Calibration:
    """The camera with one part of another's lens."""
    if part == "distortion":
        return replace(camera, distortion=given.distortion)
    intrinsics = camera.intrinsics_px.copy()
    place = ([0, 1], [0, 1]) if part == "focal length" else ([0, 1], [2, 2])
    intrinsics[place] = given.intrinsics_px[place]
    return replace(camera, intrinsics_px=intrinsics)


def _values(camera: Calibration, part: Part) -> Float[ndarray, " k"]:
    match part:
        case "focal length":
            return camera.intrinsics_px[[0, 1], [0, 1]]
        case "principal point":
            return camera.intrinsics_px[:2, 2]
        case _:
            return camera.distortion


def _deviations(fit: LensFit, part: Part) -> Float[ndarray, " k"]:
    deviations = fit.deviations[PARTS[part]]
    if part != "focal length":
        return deviations
    return fit.camera.intrinsics_px[[0, 1], [0, 1]] * np.linalg.norm(deviations)


def _size(size: tuple[float, ...]) -> str:
    return f"{size[1]:.0f} x {size[0]:.0f}"
