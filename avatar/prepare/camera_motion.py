"""How a camera turned while it filmed, from the scene behind the person."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

View = tuple[UInt8[ndarray, "h w 3"], Float[ndarray, "h w"]]

WORKING_PX = 640  # longer side of the pictures worked with
MOST_CORNERS, FEWEST_CORNERS = 400, 12
TRIALS = 60
# Of the longer side: how far followed corners may be off, a shift of the picture that is none, and a misfit that is.
TOLERANCE, STILL, MISFIT = 0.003, 0.01, 0.003
BACKGROUND = 0.3  # share of the corners that must agree


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
        cosines = (self.first_from_camera.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
        return float(torch.rad2deg(cosines.clamp(-1, 1).acos()).max())

    @property
    def is_moving(self) -> bool:
        """Whether the camera did more than tremble."""
        return self.shift > STILL


def camera_motion(views: Iterable[View], intrinsics_px: Float[Tensor, "3 3"]) -> CameraMotion:
    """The turns of a camera from its pictures, and the soft masks of the person in them, one after the other.

    Corners of the scene are followed from each picture to the next (Lucas and Kanade 1981); the turn is that with which
    most of them agree (Fischler and Bolles 1981). What comes from the camera's going from place to place is left out.
    """
    intrinsics, turns, misfits = intrinsics_px.double().numpy(), [np.eye(3)], []
    before = None
    for picture, person in views:
        after = _Look.of(picture, person, intrinsics)
        if before is not None:
            turn, misfit = _turn_between(before, after)
            turns.append(turns[-1] @ turn)
            misfits.append(misfit)
        before = after
    rotations = torch.from_numpy(np.stack(turns))
    cosines = (rotations.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    focal = float(intrinsics[0, 0]) / (2 * float(intrinsics[:2, 2].max()))
    known = [misfit for misfit in misfits if np.isfinite(misfit)]
    return CameraMotion(
        first_from_camera=rotations,
        shift=float(cosines.clamp(-1, 1).acos().max()) * focal,
        misfit=float(np.median(known)) if known else float("nan"),
        unseen=len(misfits) - len(known),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """A picture made small and grey."""

    gray: UInt8[ndarray, "h w"]
    is_scene: UInt8[ndarray, "h w"]
    rays_from_px: Float[ndarray, "3 3"]
    pixel: float  # the angle it covers

    @staticmethod
    def of(picture: UInt8[ndarray, "h w 3"], person: Float[ndarray, "h w"], intrinsics_px: ndarray) -> "_Look":
        scale = min(1.0, WORKING_PX / max(picture.shape))
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        margin = np.ones((2 * (max(size) // 50) + 1,) * 2, np.uint8)
        hidden = cv2.dilate((cv2.resize(person, size) > 0.1).astype(np.uint8), margin)
        small = np.diag([size[0] / picture.shape[1], size[1] / picture.shape[0], 1.0]) @ intrinsics_px
        return _Look(gray=gray, is_scene=1 - hidden, rays_from_px=np.linalg.inv(small), pixel=1 / float(small[0, 0]))

    def rays(self, corners: Float[ndarray, "n 2"]) -> Float[ndarray, "n 3"]:
        """Unit directions in the camera's axes of corners by OpenCV, whose pixel centres are integers."""
        rays = np.column_stack([corners + 0.5, np.ones(len(corners))]) @ self.rays_from_px.T
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _turn_between(before: _Look, after: _Look) -> tuple[Float[ndarray, "3 3"], float]:
    """The rotation from the later camera's axes to the earlier one's, and its misfit; NaN where nothing tells."""
    corners = _corners(before)
    if len(corners) < FEWEST_CORNERS:
        return np.eye(3), float("nan")
    side = max(before.gray.shape)
    followed, lost = _followed(before.gray, after.gray, corners)
    back, lost_again = _followed(after.gray, before.gray, followed)
    is_good = ~lost & ~lost_again & (np.abs(back - corners).max(axis=1) < TOLERANCE * side)
    earlier, later = before.rays(corners[is_good]), after.rays(followed[is_good])
    limit = TOLERANCE * side * before.pixel
    turn = _agreed(earlier, later, limit) if len(earlier) >= FEWEST_CORNERS else np.eye(3)
    for _ in range(3):
        agrees = _misfits(turn, earlier, later) < limit
        if agrees.sum() < max(FEWEST_CORNERS, BACKGROUND * len(earlier)):
            return np.eye(3), float("nan")
        turn = _rotation(later[agrees].T @ earlier[agrees])
    misfits = _misfits(turn, earlier, later)
    return turn, float(np.median(misfits[misfits < limit])) / before.pixel / side


def _corners(look: _Look) -> Float[ndarray, "n 2"]:
    corners = cv2.goodFeaturesToTrack(look.gray, MOST_CORNERS, 0.01, 8, mask=look.is_scene)
    return np.asarray(corners if np.ndim(corners) else [], np.float32).reshape(-1, 2)


def _followed(
    start: UInt8[ndarray, "h w"], end: UInt8[ndarray, "h w"], corners: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "n 2"], Bool[ndarray, " n"]]:
    """Where the corners are in the other picture, and which were lost."""
    known = corners.reshape(-1, 1, 2)
    found, status, _ = cv2.calcOpticalFlowPyrLK(start, end, known, np.zeros_like(known), maxLevel=4)
    return np.asarray(found).reshape(-1, 2), np.asarray(status)[:, 0] == 0


def _misfits(
    turn: Float[ndarray, "3 3"], earlier: Float[ndarray, "n 3"], later: Float[ndarray, "n 3"]
) -> Float[ndarray, " n"]:
    return np.linalg.norm(later @ turn.T - earlier, axis=1)


def _agreed(earlier: Float[ndarray, "n 3"], later: Float[ndarray, "n 3"], limit: float) -> Float[ndarray, "3 3"]:
    """The rotation by two corners with which most others agree."""
    pairs = np.random.default_rng(0).integers(0, len(earlier), (TRIALS, 2))
    turns = _rotation(np.einsum("tpi,tpk->tik", later[pairs], earlier[pairs]))
    misfits = np.linalg.norm(np.einsum("tik,nk->tni", turns, later) - earlier, axis=-1)
    return turns[np.minimum(misfits, limit).sum(axis=1).argmin()]


def _rotation(moments: Float[ndarray, "*t 3 3"]) -> Float[ndarray, "*t 3 3"]:
    """The rotations that best turn vectors into others, from the sum of products of both (Kabsch 1976)."""
    left, _, right = np.linalg.svd(moments)
    signs = np.linalg.det(left @ right)[..., None]
    return np.swapaxes((left * np.concatenate([signs**0, signs**0, signs], axis=-1)[..., None, :]) @ right, -1, -2)
