"""A turned square of a picture: what the landmark model looks at."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True, kw_only=True)
class Region:
    """A square around a person, turned so that the person stands upright in it.

    Attributes:
        centre_px: its middle; pixel centres at .5.
        size_px: length of a side.
        rotation_rad: clockwise turn of the square in the picture.
    """

    centre_px: tuple[float, float]
    size_px: float
    rotation_rad: float

    @staticmethod
    def around(centre_px: Float[np.ndarray, "2"], above_px: Float[np.ndarray, "2"], margin: float = 1.25) -> "Region":
        """The region of a person whose hips are at the centre, and whose circle reaches up to ``above_px``."""
        right, down = (above_px - centre_px).tolist()
        return Region(
            centre_px=(float(centre_px[0]), float(centre_px[1])),
            size_px=2.0 * margin * float(np.hypot(right, down)),
            rotation_rad=float(np.pi / 2 - np.arctan2(-down, right)),
        )

    def picture_from_region(self, resolution: int) -> Float[np.ndarray, "2 3"]:
        """The affine map from the pixels of a ``resolution`` x ``resolution`` crop to those of the picture."""
        cosine, sine = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        turn = np.array([[cosine, -sine], [sine, cosine]]) * (self.size_px / resolution)
        return np.column_stack([turn, np.array(self.centre_px) - turn @ np.full(2, resolution / 2)])

    def turn(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points by the region's axes (x right, y down, z forward) by those of the picture."""
        cosine, sine = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        return points @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])

    def distance(self, other: "Region") -> float:
        """Between the two centres, in sizes of the larger region."""
        offset_px = np.subtract(self.centre_px, other.centre_px)
        return float(np.hypot(*offset_px)) / max(self.size_px, other.size_px)

    def drift(self, other: "Region") -> float:
        """How much the two differ in place, size or turn, in sizes: what a point half a side away moves by."""
        growth = abs(1 - min(self.size_px, other.size_px) / max(self.size_px, other.size_px))
        turn = abs((self.rotation_rad - other.rotation_rad + np.pi) % (2 * np.pi) - np.pi)
        return max(self.distance(other), growth / 2, turn / 2)

    def crop(self, picture: UInt8[np.ndarray, "h w 3"], resolution: int) -> UInt8[np.ndarray, "s s 3"]:
        """What the region shows, black beyond the picture's border."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            picture, opencv_affine(self.picture_from_region(resolution)), (resolution,) * 2, flags=flags
        )

    def paste(self, crop: Float[np.ndarray, "s s"], height: int, width: int) -> Float[np.ndarray, "h w"]:
        """Values of a crop where they lie in a picture of that size, zero around."""
        affine = opencv_affine(self.picture_from_region(crop.shape[0]))
        return cv2.warpAffine(crop, affine, (width, height), flags=cv2.INTER_LINEAR)


def opencv_affine(target_from_source: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The same affine map of pixels for OpenCV, whose pixel centres are integers."""
    shifted = target_from_source.copy()
    shifted[:, 2] += target_from_source[:, :2].sum(axis=1) * 0.5 - 0.5
    return shifted
