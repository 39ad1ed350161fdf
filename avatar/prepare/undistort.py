"""Pictures, soft masks and landmarks without the distortion of their lens, all by one map."""

from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration


class Undistorter:
    """What a camera's pictures become when its lens is taken for a pinhole of the same intrinsics. Owns the map."""

    def __init__(self, calibration: Calibration) -> None:
        """Raises ValueError for a calibration that does not know the size of its pictures."""
        if calibration.size is None:
            raise ValueError(f"{calibration.name}: expected a calibration with the size of its pictures, got none")
        self.height, self.width = calibration.size
        self._distortion, self._is_fisheye = calibration.distortion, calibration.is_fisheye
        self._intrinsics = calibration.intrinsics_px.copy()
        self._intrinsics[:2, 2] -= 0.5  # OpenCV's pixel centres are integers
        self.is_needed = bool(calibration.distortion.any()) or calibration.is_fisheye

    def picture(self, picture: UInt8[ndarray, "h w *d"]) -> UInt8[ndarray, "h w *d"]:
        """The undistorted picture, of any channels; black where the lens saw nothing."""
        if picture.shape[:2] != (self.height, self.width):
            found = f"{picture.shape[0]} x {picture.shape[1]}"
            raise ValueError(f"expected a picture of {self.height} x {self.width} (h x w), got {found}")
        return cv2.remap(picture, *self._maps, interpolation=cv2.INTER_LINEAR) if self.is_needed else picture

    def points(self, points_px: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        """Where landmarks of the video's picture lie in the undistorted one; pixel centres at .5, NaN stays."""
        is_known = np.isfinite(points_px).all(axis=1)
        if not self.is_needed or not is_known.any():
            return points_px
        undistort = cv2.fisheye.undistortPoints if self._is_fisheye else cv2.undistortPoints
        known = points_px[is_known, None].astype(np.float64) - 0.5
        found = np.full(points_px.shape, np.nan)
        found[is_known] = undistort(known, self._intrinsics, self._distortion, P=self._intrinsics)[:, 0] + 0.5
        return found

    @cached_property
    def _maps(self) -> tuple[ndarray, ndarray]:
        size, eye = (self.width, self.height), np.eye(3)
        build = cv2.fisheye.initUndistortRectifyMap if self._is_fisheye else cv2.initUndistortRectifyMap
        columns, rows = build(self._intrinsics, self._distortion, eye, self._intrinsics, size, cv2.CV_16SC2)
        return columns, rows
