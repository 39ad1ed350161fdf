"""How a camera turned while it filmed, and through which lens, from the scene behind the person."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from avatar.geometry import nearest_rotations

Picture = tuple[UInt8[ndarray, "h w 3"], Float[ndarray, "h w"]]
Corners = tuple[Float[ndarray, "_ 2"], Float[ndarray, "_ 2"]]

WORKING_PX = 640  # longer side of the pictures worked with
MOST_CORNERS, FEWEST_CORNERS = 400, 12
TRIALS = 60
# Of the longer side: how far followed corners may be off, a shift that is none, and a misfit that is one.
TOLERANCE, STILL, MISFIT = 0.003, 0.01, 0.001
BACKGROUND = 0.3  # share of the corners that must agree
MOST_PAIRS = 50  # of frames that tell of the lens


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraMotion:
    """A camera's turns.

    Attributes:
        first_from_camera: rotations from the camera's axes in each frame to those in the first.
        shift: how far the picture's middle went from where it was, at most, as a share of the longer side.
        misfit: median distance, over the corners that agree and over frames, from where the turn takes them, as a share
            of the longer side; NaN where the scene shows too little.
        unseen: frames in which it does; the camera is taken to stand still in them.
    """

    first_from_camera: Float[Tensor, "f 3 3"]
    shift: float
    misfit: float
    unseen: int

    @property
    def turned_deg(self) -> float:
        """The largest turn away from the first frame."""
        return float(np.degrees(_angles(self.first_from_camera.numpy()).max()))

    @property
    def is_moving(self) -> bool:
        """Whether the camera did more than tremble."""
        return self.shift > STILL


def follow_scene(pictures: Iterable[Picture]) -> list[Corners]:
    """Corners of the scene in each frame but the last, and where they are in the next (Lucas and Kanade 1981).

    ``pictures`` come with the soft masks of the person in them. Corners are given from the picture's middle, in
    its longer sides; there is none where the scene shows too little.
    """
    found, before = [], None
    for picture, person in pictures:
        after = _Look.of(picture, person)
        if before is not None:
            found.append(_follow(before, after))
        before = after
    return found


def camera_motion(scene: list[Corners], focal: float) -> CameraMotion:
    """The turns of a camera whose focal length is ``focal`` longer sides, with its principal point in the middle.

    Each is that with which most of the scene's corners agree (Fischler and Bolles 1981). What comes from the camera's
    going from place to place is left out.
    """
    turns, misfits = [np.eye(3)], []
    for corners in scene:
        turn, agrees = _turn(corners, focal)
        turns.append(turns[-1] @ turn)
        misfits.append(np.median(_misfits(turn, corners, focal)[agrees]) if agrees.any() else np.nan)
    known = [misfit for misfit in misfits if np.isfinite(misfit)]
    return CameraMotion(
        first_from_camera=torch.from_numpy(np.stack(turns)),
        shift=float(_angles(np.stack(turns)).max()) * focal,
        misfit=float(np.median(known)) if known else float("nan"),
        unseen=len(misfits) - len(known),
    )


def turning_costs(scene: list[Corners], focals: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """How badly each focal length, in longer sides, explains a camera's turns: half the log of odds against the best.

    A picture moves differently in its middle and at its edges as the lens says (Hartley, "Self-calibration from
    multiple views with a rotating camera", ECCV 1994). All corners of a pair of frames count as one.
    """
    middle = float(np.sqrt(focals.min() * focals.max()))
    pairs = []
    for earlier, later in scene[:: -(-max(1, len(scene)) // MOST_PAIRS)]:
        agrees = _turn((earlier, later), middle)[1]
        if agrees.any():
            pairs.append((earlier[agrees], later[agrees]))
    if not pairs:
        return np.zeros(len(focals))
    squares = np.array([[_least_square(corners, float(focal)) for corners in pairs] for focal in focals])
    totals = squares.sum(axis=1)
    return len(pairs) / 2 * (totals / max(totals.min(), 1e-12) - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """A picture made small and grey, and where it shows the scene."""

    gray: UInt8[ndarray, "h w"]
    is_scene: UInt8[ndarray, "h w"]

    @staticmethod
    def of(picture: UInt8[ndarray, "h w 3"], person: Float[ndarray, "h w"]) -> "_Look":
        scale = min(1.0, WORKING_PX / max(picture.shape))
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        margin = np.ones((2 * (max(size) // 50) + 1,) * 2, np.uint8)
        hidden = cv2.dilate((cv2.resize(person, size) > 0.1).astype(np.uint8), margin)
        return _Look(gray=gray, is_scene=1 - hidden)

    def corners(self) -> Float[ndarray, "n 2"]:
        """The best of the scene, by OpenCV's pixels."""
        found = cv2.goodFeaturesToTrack(self.gray, MOST_CORNERS, 0.01, 8, mask=self.is_scene)
        return np.asarray(found if np.ndim(found) else [], np.float32).reshape(-1, 2)

    def centred(self, corners: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        """From the middle, in longer sides."""
        height, width = self.gray.shape
        return (corners.astype(np.float64) + 0.5 - np.array([width, height]) / 2) / max(height, width)


def _follow(before: _Look, after: _Look) -> Corners:
    corners = before.corners()
    if len(corners):
        found, is_lost = _moved(before.gray, after.gray, corners)
        back, is_lost_again = _moved(after.gray, before.gray, found)
        is_near = np.abs(back - corners).max(axis=1) < TOLERANCE * max(before.gray.shape)
        is_good = is_near & ~is_lost & ~is_lost_again
        if is_good.sum() >= FEWEST_CORNERS:
            return before.centred(corners[is_good]), after.centred(found[is_good])
    return np.zeros((0, 2)), np.zeros((0, 2))


def _moved(
    start: UInt8[ndarray, "h w"], end: UInt8[ndarray, "h w"], corners: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "n 2"], Bool[ndarray, " n"]]:
    """Where the corners are in the other picture, and which were lost."""
    known = corners.reshape(-1, 1, 2)
    found, status, _ = cv2.calcOpticalFlowPyrLK(start, end, known, np.zeros_like(known), maxLevel=4)
    return np.asarray(found).reshape(-1, 2), np.asarray(status)[:, 0] == 0


def _turn(corners: Corners, focal: float) -> tuple[Float[ndarray, "3 3"], Bool[ndarray, " n"]]:
    """The rotation from the later camera's axes to the earlier one's, and which corners agree; none if too few do."""
    nothing = np.eye(3), np.zeros(len(corners[0]), bool)
    if len(corners[0]) < FEWEST_CORNERS:
        return nothing
    earlier, later = (_rays(each, focal) for each in corners)
    turn = _best_of_pairs(earlier, later, TOLERANCE / focal)
    for _ in range(3):
        agrees = _misfits(turn, corners, focal) < TOLERANCE
        if agrees.sum() < max(FEWEST_CORNERS, BACKGROUND * len(agrees)):
            return nothing
        turn = _rotation(later[agrees].T @ earlier[agrees])
    return turn, _misfits(turn, corners, focal) < TOLERANCE


def _best_of_pairs(earlier: Float[ndarray, "n 3"], later: Float[ndarray, "n 3"], limit: float) -> Float[ndarray, "3 3"]:
    """The rotation by two corners with which most others agree."""
    pairs = np.random.default_rng(0).integers(0, len(earlier), (TRIALS, 2))
    turns = _rotation(np.einsum("tpi,tpk->tik", later[pairs], earlier[pairs]))
    misfits = np.linalg.norm(np.einsum("tik,nk->tni", turns, later) - earlier, axis=-1)
    return turns[np.minimum(misfits, limit).sum(axis=1).argmin()]


def _rotation(moments: Float[ndarray, "*t 3 3"]) -> Float[ndarray, "*t 3 3"]:
    """The rotations that best turn vectors into others, from the sum of products of both (Kabsch 1976)."""
    return nearest_rotations(torch.from_numpy(moments)).mT.numpy()


def _misfits(turn: Float[ndarray, "3 3"], corners: Corners, focal: float) -> Float[ndarray, " n"]:
    """Distances of the earlier corners from where the turn takes the later ones, in longer sides."""
    earlier, later = corners
    places = _rays(later, focal) @ turn.T
    return np.linalg.norm(places[:, :2] / places[:, 2:] * focal - earlier, axis=1)


def _least_square(corners: Corners, focal: float) -> float:
    """Mean square of the misfits of the best rotation."""
    earlier, later = (_rays(each, focal) for each in corners)
    return float(np.square(_misfits(_rotation(later.T @ earlier), corners, focal)).mean())


def _rays(corners: Float[ndarray, "n 2"], focal: float) -> Float[ndarray, "n 3"]:
    """Unit directions in the camera's axes."""
    rays = np.column_stack([corners, np.full(len(corners), focal)])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _angles(turns: Float[ndarray, "f 3 3"]) -> Float[ndarray, " f"]:
    cosines = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    return np.arccos(np.clip(cosines, -1, 1))
