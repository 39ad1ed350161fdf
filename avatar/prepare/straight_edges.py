"""Does a calibration's distortion straighten the straight edges of a scene? (Devernay and Faugeras, "Straight lines
have to be straight", Machine Vision and Applications 2001)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.capture.camera_files.conventions import centre_intrinsics

from .letterbox import DARK

MIN_LENGTH = 0.08  # of an edge, as a share of the picture's larger side
REACH_PX, STEP_PX = 3, 2.0  # along an edge's normal, and along the edge
CORNER_PX = 8.0  # left out at both ends, where an edge is rounded
BLUR_PX = 1.5  # sharper edges seem to lie nearer to whole pixels than they do
MIN_SLOPE = 2.0  # levels a pixel across an edge
MIN_SHARE = 0.7  # of an edge that is that steep
MARGIN_PX = 12  # between an edge and what is not seen of the scene
FEWEST_EDGES = 16
SURELY = 5.0  # standard deviations; edges of a real room reached 4.1 by chance
VISIBLE = 1e-3  # share of the picture's larger side that a wrong distortion moves some pixel by
BEND = 0.01  # of k1, for the derivative


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A number that the edges tell, and its standard deviation; NaN where they do not."""

    value: float
    deviation: float

    def differs_from(self, value: float) -> bool:
        """Surely, and never where it is not known."""
        return abs(self.value - value) > SURELY * self.deviation


@dataclass(frozen=True, kw_only=True)
class EdgeCheck:
    """What the straight edges of one camera's scene say of its distortion.

    Attributes:
        camera: its name.
        num_edges: how many were found.
        share: how much of the given distortion they ask for: 1 confirms it, 0 asks for none; unknown where none is
            given, or few edges are found.
        radial: by how much they would change its first radial coefficient.
        share_moves, radial_moves: how far one unit of each moves the pixel that it moves most, as a share of the
            picture's larger side.
    """

    camera: str
    num_edges: int
    share: Amount
    radial: Amount
    share_moves: float
    radial_moves: float

    def array(self) -> Float[ndarray, "7"]:
        """The figures, in order."""
        amounts = (self.share.value, self.share.deviation, self.radial.value, self.radial.deviation)
        return np.array([self.num_edges, *amounts, self.share_moves, self.radial_moves])

    @staticmethod
    def of(camera: str, array: Float[ndarray, "7"]) -> "EdgeCheck":
        """The inverse of ``array``."""
        num_edges, share, share_deviation, radial, radial_deviation, share_moves, radial_moves = array.tolist()
        return EdgeCheck(
            camera=camera,
            num_edges=int(num_edges),
            share=Amount(value=share, deviation=share_deviation),
            radial=Amount(value=radial, deviation=radial_deviation),
            share_moves=share_moves,
            radial_moves=radial_moves,
        )


UNKNOWN: Final = Amount(value=float("nan"), deviation=float("nan"))


def check_edges(
    plate: UInt8[ndarray, "h w 3"], calibration: Calibration, is_known: Bool[ndarray, "h w"] | None = None
) -> EdgeCheck:
    """What the edges in a picture of an empty scene say; ``is_known`` is where that is seen, of ``CleanPlate``.

    The calibration is that of the picture's pixels. Edges need not all be straight, only most. Says nothing of fisheye
    lenses.
    """
    edges = [] if calibration.is_fisheye else find_edges(plate, is_known)
    given, bend = calibration.distortion, np.zeros_like(calibration.distortion)
    share, radial, share_moves, radial_moves = UNKNOWN, UNKNOWN, 0.0, 0.0
    if not calibration.is_fisheye:
        bend[0] = BEND
        share_moves, radial_moves = (_farthest(calibration, step, plate.shape[:2]) for step in (given, bend))
        radial_moves /= BEND
    if len(edges) >= FEWEST_EDGES:
        radial = _amount(calibration, edges, bend, BEND)
        if share_moves > VISIBLE / 64:
            change = _amount(calibration, edges, given / 10, 0.1)
            share = Amount(value=1 + change.value, deviation=change.deviation)
    return EdgeCheck(
        camera=calibration.name,
        num_edges=len(edges),
        share=share,
        radial=radial,
        share_moves=share_moves,
        radial_moves=radial_moves,
    )


def doubt_distortion(checks: Sequence[EdgeCheck]) -> list[str]:
    """What cameras of one calibration have wrong together, else each by itself: a sentence each."""
    known = [check for check in checks if np.isfinite(check.share.value)]
    if len(known) > 1:
        weights = np.array([check.share.deviation**-2 for check in known])
        value = float(np.average([check.share.value for check in known], weights=weights))
        together = Amount(value=value, deviation=float(weights.sum() ** -0.5))
        moves = max(check.share_moves for check in known) * abs(value - 1)
        if together.differs_from(1.0) and moves > VISIBLE:
            return [f"All cameras: {_share_words(together)}"]
    doubts = []
    for check in checks:
        if check.share.differs_from(1.0) and abs(check.share.value - 1) * check.share_moves > VISIBLE:
            doubts.append(f"{check.camera}: {_share_words(check.share)}")
        elif check.radial.differs_from(0.0) and abs(check.radial.value) * check.radial_moves > VISIBLE:
            found = f"{check.radial.value:+.3f} +- {check.radial.deviation:.3f}"
            doubts.append(f"{check.camera}: straight edges of the scene are bent; k1 seems wrong by {found}")
    return doubts


def _share_words(share: Amount) -> str:
    return (
        f"straight edges of the scene ask for {share.value:.2g} +- {share.deviation:.1g} times the distortion that is "
        "given; look at its unit, sign and order, or calibrate again"
    )


def find_edges(
    picture: UInt8[ndarray, "h w 3"], is_known: Bool[ndarray, "h w"] | None = None
) -> list[Float[ndarray, "_ 2"]]:
    """Points, to a small part of a pixel, along each long edge that is nearly straight; pixel centres at integers."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    found = np.asarray(cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0])
    segments = found.reshape(-1, 4).astype(np.float64) if found.size > 1 else np.zeros((0, 4))
    lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    is_usable, edges = _usable(picture, is_known), []
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), BLUR_PX)
    for segment in segments[lengths >= max(MIN_LENGTH * max(grey.shape), 4 * CORNER_PX)]:
        points = _along(smooth, segment)
        columns, rows = np.clip(points.round().astype(int), 0, np.array(grey.shape[::-1]) - 1).T
        if len(points) > 2 and is_usable[rows, columns].all():
            edges.append(points)
    return edges


def _usable(picture: UInt8[ndarray, "h w 3"], is_known: Bool[ndarray, "h w"] | None) -> Bool[ndarray, "h w"]:
    """Where edges are the scene's: away from what is not known, from black bars and from the border."""
    usable = np.zeros(picture.shape[:2], np.uint8)
    is_bright = picture.max(axis=-1) > DARK
    rows, columns = (np.flatnonzero(is_bright.mean(axis=axis) > 0.1) for axis in (1, 0))
    if len(rows) and len(columns):
        usable[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 1
    if is_known is not None:
        usable[~is_known] = 0
    size = 2 * MARGIN_PX + 1
    return cv2.erode(usable, np.ones((size, size), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def _along(grey: Float[ndarray, "h w"], segment: Float[ndarray, "4"]) -> Float[ndarray, "n 2"]:
    """Where the slope across a segment is steepest, every few pixels; none where it is often too flat."""
    start, offset = segment[:2], segment[2:] - segment[:2]
    length = np.hypot(*offset)
    along = offset / length
    normal = np.array([-along[1], along[0]])
    bases = start + np.arange(CORNER_PX, length - CORNER_PX, STEP_PX)[:, None] * along
    reach = np.arange(-REACH_PX - 1, REACH_PX + 2)
    places = (bases[:, None] + reach[:, None] * normal).astype(np.float32)
    levels = cv2.remap(grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    slopes = (levels[:, 2:] - levels[:, :-2]) / 2
    slopes *= np.sign(np.median(slopes.sum(axis=1)))
    best, rows = slopes[:, 1:-1].argmax(axis=1) + 1, np.arange(len(bases))
    left, top, right = (slopes[rows, best + i] for i in (-1, 0, 1))
    bend = np.minimum(left - 2 * top + right, -1e-6)
    steepest = reach[1:-1][best] + np.clip((left - right) / (2 * bend), -0.5, 0.5)
    is_edge = (top > MIN_SLOPE) & (np.abs(steepest) < REACH_PX - 0.5)
    if is_edge.mean() < MIN_SHARE:
        return np.zeros((0, 2))
    return (bases + steepest[:, None] * normal)[is_edge]


def _amount(
    calibration: Calibration, edges: Sequence[Float[ndarray, "_ 2"]], step: Float[ndarray, " d"], unit: float
) -> Amount:
    """By how much of a change of the distortion, ``step`` being ``unit`` of it, the edges become straightest.

    Least squares in which edges that stay bent count less; the deviation is the jackknife's over edges (Efron and
    Stein, 1981), since the points of one edge err alike.
    """
    bent = [_off_line(calibration, edge, step, unit) for edge in edges]
    squares = np.array([slopes @ slopes for _, slopes in bent])
    products = np.array([slopes @ offsets for offsets, slopes in bent])
    weights, value = np.ones(len(edges)), 0.0
    for _ in range(20):
        value = -float(weights @ products / (weights @ squares))
        errors = np.array([np.square(offsets + value * slopes).mean() for offsets, slopes in bent])
        weights = (1 + errors / (2 * np.median(errors))) ** -2
    products, squares = weights * products, weights * squares
    without = -(products.sum() - products) / (squares.sum() - squares)
    count = len(edges)
    return Amount(value=value, deviation=float(np.sqrt((count - 1) * np.mean((without - without.mean()) ** 2))))


def _off_line(
    calibration: Calibration, edge: Float[ndarray, "n 2"], step: Float[ndarray, " d"], unit: float
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """How far undistorted points are from their line, in pixels, and the derivative of that."""
    low, points, high = (_undistorted(calibration, edge, amount * step) for amount in (-1, 0, 1))
    centred = points - points.mean(axis=0)
    along, normal = np.linalg.svd(centred, full_matrices=False)[2]
    line = np.linalg.qr(np.stack([np.ones(len(edge)), centred @ along], axis=1))[0]
    offsets, slopes = centred @ normal, (high - low) @ normal / (2 * unit)
    return offsets - line @ (line.T @ offsets), slopes - line @ (line.T @ slopes)


def _undistorted(
    calibration: Calibration, points: Float[ndarray, "n 2"], step: Float[ndarray, " d"]
) -> Float[ndarray, "n 2"]:
    intrinsics = centre_intrinsics(calibration.intrinsics_px)
    return cv2.undistortPoints(points[:, None], intrinsics, calibration.distortion + step, P=intrinsics)[:, 0]


def _farthest(calibration: Calibration, step: Float[ndarray, " d"], size: tuple[int, int]) -> float:
    """How far a change of the distortion moves the pixel that it moves most, as a share of the larger side."""
    grid = np.stack(np.meshgrid(np.linspace(0, size[1], 9), np.linspace(0, size[0], 9)), axis=-1).reshape(-1, 2)
    moved = _undistorted(calibration, grid, -step) - _undistorted(calibration, grid, 0 * step)
    return float(np.linalg.norm(moved, axis=1).max()) / max(size)
