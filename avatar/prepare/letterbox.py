"""Videos whose frames are not of the size that the calibration is for: scaled, or scaled into black bars."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from avatar.capture.calibration import Calibration

DARK = 24  # nine in ten pixels of a bar are not brighter, whatever the codec did


@dataclass(frozen=True, kw_only=True)
class Letterbox:
    """Where the calibrated picture lies in the video's: ``scale`` times as large, its corner at ``left_px, top_px``."""

    scale: float
    left_px: float
    top_px: float

    def apply(self, calibration: Calibration, size: tuple[int, int]) -> Calibration:
        """The calibration of the video's own pixels; ``size`` is (height, width). Distortion has no unit and stays."""
        shift = np.array([[self.scale, 0, self.left_px], [0, self.scale, self.top_px], [0, 0, 1]])
        return replace(calibration, intrinsics_px=shift @ calibration.intrinsics_px, size=size)

    @property
    def is_identity(self) -> bool:
        """Whether the video's pixels are the calibrated ones."""
        return self.scale == 1.0 and abs(self.left_px) + abs(self.top_px) < 1e-9

    def __str__(self) -> str:
        return (
            f"the video is the calibrated picture scaled by {self.scale:.5f}, with its corner at "
            f"({self.left_px:.2f}, {self.top_px:.2f}) px"
        )


def fit_to_video(calibration: Calibration, pictures: Sequence[UInt8[ndarray, "h w 3"]]) -> Letterbox:
    """How a video's pictures, of which a few are given, come from those that were calibrated.

    Raises ValueError when the sizes tell neither: when the video was cropped or stretched.
    """
    height, width = pictures[0].shape[:2]
    rows, columns = calibration.size or (height, width)
    scale = min(height / rows, width / columns)
    top, left = (height - scale * rows) / 2, (width - scale * columns) / 2
    if max(top, left) < 0.51:  # the same shape, to the rounding of sizes
        return Letterbox(scale=scale, left_px=left, top_px=top)
    usual = np.median([picture.max(axis=-1) for picture in pictures], axis=0)
    bar, around = (top, usual) if top > left else (left, usual.T)
    depth = max(1, int(bar) - 1)  # the row next to the picture holds what scaling and the codec smeared out of it
    if np.percentile(np.concatenate([around[:depth], around[-depth:]]), 90) > DARK:
        raise ValueError(
            f"{calibration.name}: its video has {height} x {width} pixels (h x w), the calibration is for "
            f"{rows} x {columns}, and the video has no black bars that explain it; calibrate again, or crop the video"
        )
    return Letterbox(scale=scale, left_px=left, top_px=top)
