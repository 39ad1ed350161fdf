"""Masks reduced to what a body's outline is compared to: points of the contour, and how far it is to the mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from ..observations import MaskLoader

_MARGIN, _CELLS, _SMOOTHING = 0.3, 128, 0.004  # shares of the person's box; cells along a side


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlines:
    """What the masks of some frames say of the outline.

    Attributes:
        points_px: evenly spread along the contours of each mask.
        normals: outward in the picture, of length one.
        weights: 1 for points; zero where there are none: no mask, or the picture's edge.
        distances_px: on a grid about the person, how far it is to the mask; zero within and where there is no mask.
        corners_px: the grid's first point, ``x`` and ``y``.
        cells_px: the grid's spacing; 1 where there is no mask.
    """

    points_px: Float[Tensor, "f c n 2"]
    normals: Float[Tensor, "f c n 2"]
    weights: Float[Tensor, "f c n"]
    distances_px: Float[Tensor, "f c g g"]
    corners_px: Float[Tensor, "f c 2"]
    cells_px: Float[Tensor, "f c"]


def read_outlines(load_mask: MaskLoader, frames: Sequence[int], num_cameras: int, num_points: int) -> Outlines:
    """The outlines of all cameras in these frames; one mask is held at a time."""
    views = [_outline(load_mask(frame, camera), num_points) for frame in frames for camera in range(num_cameras)]
    columns = [torch.from_numpy(np.stack(column)) for column in zip(*views, strict=True)]
    points, normals, weights, distances, corners, cells = (
        column.float().unflatten(0, (len(frames), num_cameras)) for column in columns
    )
    return Outlines(
        points_px=points, normals=normals, weights=weights, distances_px=distances, corners_px=corners, cells_px=cells
    )


def _outline(mask: Bool[ndarray, "h w"] | None, num_points: int) -> tuple[ndarray | np.float32, ...]:
    """The fields of ``Outlines`` of one view."""
    empty = np.zeros((num_points, 2), np.float32)
    if mask is None or not mask.any():
        field = np.zeros((_CELLS, _CELLS), np.float32)
        return empty, empty, empty[:, 0], field, empty[0], np.float32(1)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    size = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    points, normals = _contour(mask, num_points, max(1.0, _SMOOTHING * size))
    height, width = mask.shape
    is_inside = (points > 2).all(axis=1) & (points[:, 0] < width - 2) & (points[:, 1] < height - 2)
    cell = (1 + 2 * _MARGIN) * size / (_CELLS - 1)
    middle = np.array([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]) / 2
    corner = middle - cell * (_CELLS - 1) / 2
    return points, normals, is_inside, _distances(mask, corner, cell), corner, np.float32(cell)


def _contour(
    mask: Bool[ndarray, "h w"], num_points: int, smoothing_px: float
) -> tuple[Float[ndarray, "n 2"], Float[ndarray, "n 2"]]:
    """Points evenly along all contours, holes included, and outward normals of the smoothed mask there."""
    padded = np.pad(mask.astype(np.uint8), 1)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    pixels = np.concatenate([contour[:, 0] for contour in contours])
    steps = np.concatenate([np.hypot(*(np.roll(c[:, 0], -1, axis=0) - c[:, 0]).T) for c in contours])
    along = np.cumsum(steps)
    chosen = np.searchsorted(along, (np.arange(num_points) + 0.5) * along[-1] / num_points)
    x, y = pixels[np.minimum(chosen, len(pixels) - 1)].T
    smooth = cv2.GaussianBlur(padded.astype(np.float32), (0, 0), smoothing_px)
    across, down = cv2.Scharr(smooth, cv2.CV_32F, 1, 0)[y, x], cv2.Scharr(smooth, cv2.CV_32F, 0, 1)[y, x]
    normals = -np.stack([across, down], axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    # The padding moved pixels by one, their centres are at .5, and the contour runs half a pixel outside of these.
    return np.stack([x, y], axis=1) - 0.5 + 0.5 * normals, normals


def _distances(mask: Bool[ndarray, "h w"], corner: Float[ndarray, "2"], cell: float) -> Float[ndarray, "g g"]:
    """Distances to the mask, pixels, by a coarse picture of it."""
    shift = np.array([[cell, 0, corner[0] - 0.5], [0, cell, corner[1] - 0.5]])
    blurred = cv2.blur(mask.astype(np.float32), (max(1, round(cell)),) * 2)
    share = cv2.warpAffine(blurred, shift, (_CELLS, _CELLS), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    distances = cv2.distanceTransform((share <= 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # A cell outside is about half a cell away from the border, not a whole one.
    return np.maximum(distances - 0.5, 0) * np.float32(cell)
