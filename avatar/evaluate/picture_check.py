"""What one picture and its rendering disagree about: outline, place, colour, detail, and where on the body."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from .alignment import MIN_PIXELS, Alignment, align
from .body_parts import PARTS

EDGE_PX = 3  # left out inside outlines where texture is compared: the edge is a question of its own
DETAIL_PX = 1.5  # standard deviation of the blur that takes fine detail away
COLOUR_PX = 4.0  # blur under which colours are compared, so that neither shift nor sharpness counts
MIN_PART_PIXELS = 60  # fewer say nothing about a part
MIN_FLOW_PX = 32  # smaller pictures have no optical flow

Picture = Float[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]
Parts = Int[np.ndarray, "h w"]
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A picture and its rendering, cut to where there is something in either.

    Attributes:
        truth, render: sRGB in [0, 1], the person on black.
        is_foreground: the mask.
        is_covered: where the rendering's coverage is above one half.
        parts: index into ``PARTS`` of the naked body where it is seen, -1 beside it.
    """

    truth: Picture
    render: Picture
    is_foreground: Mask
    is_covered: Mask
    parts: Parts


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Rendered coverage, and the naked body, against the mask. Shares are of the mask's area.

    Attributes:
        iou: intersection over union of coverage and mask.
        outside, missing: coverage where the mask has none, and mask that is not covered.
        rim_px: how much wider all around the coverage is than the mask, pixels; negative where narrower.
        body_outside: share of the naked body where the mask has none; None where no body is seen.
    """

    iou: float
    outside: float
    missing: float
    rim_px: float
    body_outside: float | None


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colours of a picture against its rendering, for red, green and blue.

    Attributes:
        ratio: mean of the picture over mean of the rendering.
        gain, offset: picture = gain x rendering + offset, in the sense of least squares.
        error: squared error that is left with them.
    """

    ratio: Triple
    gain: Triple
    offset: Triple
    error: float


@dataclass(frozen=True, kw_only=True)
class PartCheck:
    """Disagreement on one of ``PARTS``; what is beside the body counts for the nearest part.

    Attributes:
        error: squared.
        outline: pixels where coverage and mask disagree.
        motion_px: root mean square of local motion from rendering to picture, less the shift of all; None where too
            little is seen.
    """

    error: float
    outline: int
    motion_px: float | None


@dataclass(frozen=True, kw_only=True)
class PictureCheck:
    """The disagreements of one picture; errors are sums over pixels and channels of squared sRGB differences.

    Attributes:
        frame_id, camera_id, camera: which picture.
        outline: coverage against mask.
        alignment: how the picture lies against the rendering, or None where that cannot be told.
        colour: colours, or None where too little is seen.
        detail, detail_rendered: root mean square of what a blur of ``DETAIL_PX`` takes from picture and rendering.
        error: of the whole picture.
        error_outline: of it, where coverage and mask disagree.
        parts: one for each of ``PARTS``.
    """

    frame_id: int
    camera_id: int
    camera: str
    outline: Outline
    alignment: Alignment | None
    colour: Colour | None
    detail: float
    detail_rendered: float
    error: float
    error_outline: float
    parts: tuple[PartCheck, ...]

    def as_json(self) -> dict[str, Any]:
        """All figures, ready for ``json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "PictureCheck":
        """What ``as_json`` gave, written and read. KeyError or TypeError where it is something else."""
        records = {
            "outline": Outline(**row["outline"]),
            "alignment": row["alignment"] and Alignment(**_tuples(row["alignment"])),
            "colour": row["colour"] and Colour(**_tuples(row["colour"])),
            "parts": tuple(PartCheck(**part) for part in row["parts"]),
        }
        return cls(**{**row, **records})


def check_picture(pair: Pair, frame_id: int, camera_id: int, camera: str) -> PictureCheck:
    """All disagreements of one picture."""
    inner = _inner(pair.is_foreground & pair.is_covered)
    alignment = align(pair.render.mean(-1), pair.truth.mean(-1), inner)
    error = np.square(pair.truth - pair.render).sum(-1)
    is_outline = pair.is_foreground != pair.is_covered
    return PictureCheck(
        frame_id=frame_id,
        camera_id=camera_id,
        camera=camera,
        outline=_outline(pair, is_outline),
        alignment=alignment,
        colour=_colour(pair, inner),
        detail=_detail(pair.truth, inner),
        detail_rendered=_detail(pair.render, inner),
        error=float(error.sum()),
        error_outline=float(error[is_outline].sum()),
        parts=_part_checks(pair, error, is_outline, inner, alignment),
    )


def _inner(mask: Mask) -> Mask:
    """The mask without its outermost ``EDGE_PX``; the picture's border counts as outside."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)
    return distance[1:-1, 1:-1] > EDGE_PX


def _outline(pair: Pair, is_outline: Mask) -> Outline:
    covered, mask, body = pair.is_covered, pair.is_foreground, pair.parts >= 0
    area = max(1, int(mask.sum()))
    outside, missing = int((is_outline & covered).sum()), int((is_outline & mask).sum())
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return Outline(
        iou=int((covered & mask).sum()) / max(1, int((covered | mask).sum())),
        outside=outside / area,
        missing=missing / area,
        rim_px=(outside - missing) / max(1.0, sum(cv2.arcLength(line, True) for line in lines)),
        body_outside=int((body & ~mask).sum()) / int(body.sum()) if body.any() else None,
    )


def _colour(pair: Pair, inner: Mask) -> Colour | None:
    if inner.sum() < MIN_PIXELS:
        return None
    weights = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), COLOUR_PX)[inner, None]
    truth, render = (
        cv2.GaussianBlur(picture * inner[..., None], (0, 0), COLOUR_PX)[inner] / weights  # of inner pixels alone
        for picture in (pair.truth, pair.render)
    )
    mean, mean_rendered = truth.mean(0), render.mean(0)
    spread = np.square(render - mean_rendered).mean(0)
    gain = ((truth - mean) * (render - mean_rendered)).mean(0) / np.maximum(spread, 1e-6)
    offset = mean - gain * mean_rendered
    recoloured = np.where(pair.is_covered[..., None], gain * pair.render + offset, pair.render)
    return Colour(
        ratio=_triple(mean / np.maximum(mean_rendered, 1e-3)),
        gain=_triple(gain),
        offset=_triple(offset),
        error=float(np.square(pair.truth - recoloured).sum()),
    )


def _detail(picture: Picture, inner: Mask) -> float:
    grey = picture.mean(-1)
    fine = (grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_PX))[inner]
    return float(np.sqrt(np.square(fine).mean())) if fine.size else 0.0


def _part_checks(
    pair: Pair, error: Float[np.ndarray, "h w"], is_outline: Mask, inner: Mask, alignment: Alignment | None
) -> tuple[PartCheck, ...]:
    nearest, squared = _nearest_parts(pair.parts), _squared_motion(pair, alignment)
    errors, outlines = _by_part(nearest, error), _by_part(nearest, is_outline)
    counts, sums = _by_part(nearest, inner), _by_part(nearest, np.where(inner, squared, 0))
    is_told = (counts >= MIN_PART_PIXELS) & np.isfinite(sums)
    return tuple(
        PartCheck(
            error=float(errors[i]),
            outline=int(outlines[i]),
            motion_px=float(np.sqrt(sums[i] / counts[i])) if is_told[i] else None,
        )
        for i in range(len(PARTS))
    )


def _squared_motion(pair: Pair, alignment: Alignment | None) -> Float[np.ndarray, "h w"]:
    """Motion of each pixel by dense optical flow (Kroeger et al., "Fast Optical Flow using DIS", ECCV 2016)."""
    render, truth = ((255 * picture.mean(-1)).clip(0, 255).astype(np.uint8) for picture in (pair.render, pair.truth))
    if min(render.shape) < MIN_FLOW_PX:
        return np.full(render.shape, np.nan)
    start = np.zeros((*render.shape, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(render, truth, start)
    shift = np.array(alignment.shift_px if alignment else (0.0, 0.0))
    return np.square(flow - shift).sum(-1)


def _nearest_parts(parts: Parts) -> Parts:
    """For every pixel the part of the nearest pixel of the body."""
    is_body = parts >= 0
    if not is_body.any():
        return np.full_like(parts, PARTS.index("torso"))
    _, labels = cv2.distanceTransformWithLabels(
        (~is_body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    of_label = np.zeros(int(labels.max()) + 1, parts.dtype)
    of_label[labels[is_body]] = parts[is_body]
    return of_label[labels]


def _by_part(parts: Parts, values: Float[np.ndarray, "h w"] | Mask) -> Float[np.ndarray, " k"]:
    """Sums over the pixels of each part."""
    return np.bincount(parts.ravel(), weights=values.ravel(), minlength=len(PARTS))


def _triple(values: Float[np.ndarray, "3"]) -> Triple:
    red, green, blue = values.tolist()
    return red, green, blue


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
