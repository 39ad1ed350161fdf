"""How a picture lies against its rendering: a shift and a scale on the image, whatever the exposure.

Robust Gauss-Newton on brightness, from coarse to fine (Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV 2004,
with the Huber weights of its part 2): the classical answer to "by how many pixels".
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

BLURS_PX = (4.0, 2.0, 1.0)  # standard deviations, coarse to fine: the first reaches some 6 pixels
STEPS = 3  # of each blur
MIN_PIXELS = 400  # fewer say nothing
MAX_SHIFT_PX = 12.0  # beyond, it got lost
MAX_CONDITION = 1e9  # of the normal equations: above, one direction has no texture
HUBER = 1.345  # standard deviations that count in full: 95 % efficient on normal errors

Image = Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Where the picture has what the rendering has at ``x``: at ``centre + scale (x - centre) + shift``.

    Attributes:
        shift_px: right and down.
        scale: above 1 where the picture shows the person larger, about the middle of the pixels compared.
        explained: share of the picture's variance that the rendering explains once aligned, 0 to 1.
    """

    shift_px: tuple[float, float]
    scale: float
    explained: float


def align(render: Image, truth: Image, is_compared: Bool[np.ndarray, "h w"]) -> Alignment | None:
    """The shift and scale that best take ``render`` to ``truth`` (brightness) on the pixels to compare.

    Gain and offset of brightness are found beside them and do not count. None where there are too few pixels, too
    little texture, or no answer within ``MAX_SHIFT_PX``.
    """
    num_pixels = int(is_compared.sum())
    if num_pixels < MIN_PIXELS:
        return None
    size = float(np.sqrt(num_pixels))
    places = np.indices(is_compared.shape, np.float32)[::-1, is_compared]
    centre = places.mean(1)
    motion, explained = np.zeros(3), 0.0  # shift right, shift down, growth over ``size`` pixels
    for blur_px in BLURS_PX:
        flat, image = (cv2.GaussianBlur(picture, (0, 0), blur_px) for picture in (render, truth))
        slopes = [cv2.Sobel(image, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1))]
        for _ in range(STEPS):
            map_ = _affine(motion[:2], motion[2] / size, centre)
            seen, *slope = (_warped(picture, map_)[is_compared] for picture in (image, *slopes))
            growth = (slope * (places - centre[:, None])).sum(0) / size
            values = flat[is_compared]
            step = _step(values, seen, np.stack([*slope, growth]))
            if step is None:
                return None
            motion = motion + step
            explained = float(np.corrcoef(values, seen)[0, 1] ** 2)
    if not np.hypot(motion[0], motion[1]) <= MAX_SHIFT_PX:
        return None
    shift_px = float(motion[0]), float(motion[1])
    return Alignment(shift_px=shift_px, scale=float(1 + motion[2] / size), explained=explained)


def _affine(
    shift_px: Float[np.ndarray, "2"], growth: float, centre: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "2 3"]:
    """Where each pixel of the rendering lies in the picture."""
    return np.column_stack([(1 + growth) * np.eye(2), shift_px - growth * centre])


def _warped(image: Image, map_: Float[np.ndarray, "2 3"]) -> Image:
    height, width = image.shape
    return cv2.warpAffine(image, map_, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _step(
    values: Float[np.ndarray, " n"], seen: Float[np.ndarray, " n"], slopes: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3"] | None:
    """One Gauss-Newton step; gain and offset are solved anew in each. None where the pixels have no say."""
    ones = np.ones_like(values)
    jacobian = np.stack([*slopes, -values, -ones])
    weights, solution = ones, np.zeros(5)
    for _ in range(2):
        weighted = jacobian * weights
        normal = (weighted @ jacobian.T).astype(np.float64)
        if np.linalg.cond(normal) > MAX_CONDITION:
            return None
        solution = np.linalg.solve(normal, -(weighted @ seen).astype(np.float64))
        residual = np.abs(seen + solution.astype(np.float32) @ jacobian)
        deviation = 1.4826 * float(np.median(residual)) + 1e-6
        weights = np.minimum(1, HUBER * deviation / np.maximum(residual, 1e-9))
    return np.clip(solution[:3], -4, 4)
