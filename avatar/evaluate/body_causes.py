"""Faults that show in all cameras: poses, outlines, cloth, lost detail, skin that nobody saw."""

import numpy as np
from jaxtyping import Bool

from .body_parts import PARTS
from .cause import Cause, CauseConfig
from .comparison import Comparison, against_cameras, listed, ranges
from .coverage import Coverage

MIN_FRAMES = 4  # fewer cannot tell an outlier
PART_ERROR = 0.08  # share of all error from which a part that moves by itself matters
WHERE = 0.25  # share of what is added to the outlines' disagreement that names a part


def pose_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Frames whose outlines disagree in most cameras, while those of other frames agree."""
    if len(comparison.frames) < MIN_FRAMES:
        return []
    iou, spill = comparison("outline.iou"), comparison("outline.body_outside")
    scores = np.maximum(-against_cameras(iou), against_cameras(spill))
    scores = scores - np.median(scores)
    is_off = scores > max(config.iou_drop, config.deviations * 1.4826 * float(np.median(np.abs(scores))))
    if not is_off.any():
        return []
    rows = np.flatnonzero(is_off).tolist()
    what = ranges([comparison.frames[row] for row in rows], comparison.frames)
    figures = (f"{np.nanmedian(table[chosen]):.3f}" for table in (iou, spill) for chosen in (is_off, ~is_off))
    return [
        Cause(
            kind="pose",
            what=what,
            sentence=f"{what[0].upper()}{what[1:]}: the pose is off{_where(comparison, is_off)}. Correct it "
            "or leave it out.",
            evidence="intersection over union of coverage and mask {} against {} in the other frames; share of the "
            "naked body outside the mask {} against {}; {} frames looked at".format(*figures, len(comparison.frames)),
            share=sum(comparison.excess(0, row) for row in rows),
        )
    ]


def _where(comparison: Comparison, is_off: Bool[np.ndarray, " f"]) -> str:
    """The parts on which the outlines disagree more than in the other frames."""
    pixels = comparison("parts.outline")
    added = np.nansum(pixels[is_off] - np.nanmedian(pixels[~is_off], 0), (0, 1)).clip(0)
    parts = [PARTS[i] for i in np.argsort(-added) if added[i] > WHERE * added.sum()]
    return f", most of all {_named(parts)}" if parts else ""


def outline_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Outlines that disagree everywhere, and single pictures in which they do."""
    iou = comparison("outline.iou")
    usual = float(np.nanmedian(iou))
    if usual < config.iou:
        return [
            Cause(
                kind="outline",
                what="all pictures",
                sentence="Outlines disagree in all pictures: the masks, the body's shape or all poses are off, or the "
                "fit is not finished.",
                evidence=f"intersection over union of coverage and mask, median of all pictures: {usual:.3f}",
                share=float(np.nansum(comparison("error_outline"))) / comparison.total,
            )
        ]
    lone = np.nan_to_num(np.nanmedian(iou, 0) + against_cameras(iou)[:, None] - iou)
    places = np.argwhere(lone > config.iou_drop_lone)
    pictures = [f"frame {comparison.frames[row]} of {comparison.cameras[column]}" for row, column in places]
    if not pictures:
        return []
    shown = [*pictures[:3], *([f"{len(pictures) - 3} more"] if len(pictures) > 3 else [])]
    outlines = comparison("error_outline")
    return [
        Cause(
            kind="mask",
            what=listed(pictures),
            sentence=f"The mask of {listed(shown)} disagrees, that of other cameras at the same time does not: look at "
            "it, it may have lost a limb.",
            evidence="intersection over union "
            + listed([f"{iou[row, column]:.3f}" for row, column in places[:3]])
            + f" against {usual:.3f} in all pictures",
            share=float(sum(outlines[row, column] for row, column in places)) / comparison.total,
        )
    ]


def cloth_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Parts whose surface moves by itself although the outlines and cameras agree."""
    is_known = comparison.is_known()
    if not is_known.any():
        return []
    table = comparison("parts.motion_px")[:, is_known].reshape(-1, len(PARTS))
    motions = np.array([np.median(seen) if len(seen := column[np.isfinite(column)]) else 0.0 for column in table.T])
    errors = np.nansum(comparison("parts.error"), (0, 1)) / comparison.total
    moving = [i for i in np.argsort(-errors) if motions[i] > config.motion_px and errors[i] > PART_ERROR]
    if not moving:
        return []
    parts = _named([PARTS[i] for i in moving])
    return [
        Cause(
            kind="cloth",
            what=parts,
            sentence=f"Cloth moves beyond what the poses explain on {parts}: its folds are averaged. More detail that "
            "follows the pose may help; in poses never seen it stays a guess.",
            evidence="motion from rendering to picture that no shift of the camera explains: "
            + listed([f"{PARTS[i]} {motions[i]:.1f} px" for i in moving]),
            share=float(errors[moving].sum()),
        )
    ]


def detail_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Renderings that are soft although everything else agrees."""
    ratio = comparison.detail_ratio()
    if not ratio < config.detail:
        return []
    return [
        Cause(
            kind="blur",
            what="all pictures",
            sentence=f"Renderings keep {100 * ratio:.0f} % of the pictures' fine detail although outlines, places and "
            "colours agree: fit longer, or with more Gaussians.",
            evidence="root mean square of what a small blur takes away, rendering over picture",
            share=1.0,
        )
    ]


def coverage_causes(coverage: Coverage, config: CauseConfig) -> list[Cause]:
    """Sides of the body that no picture shows."""
    sides = [side for side in coverage.sides() if side.unseen > config.unseen]
    if not sides:
        return []
    hidden = sum(side.unseen * side.area_m2 for side in sides)
    names = [f"the {side.side} of the {side.part}" for side in sorted(sides, key=lambda s: -s.unseen * s.area_m2)]
    shown = [*names[:4], *([f"{len(names) - 4} more places"] if len(names) > 4 else [])]
    words = listed(shown)
    return [
        Cause(
            kind="coverage",
            what=listed(names),
            sentence=f"{words[0].upper()}{words[1:]} {'was' if len(names) == 1 else 'were'} never seen by these "
            "cameras: what is rendered there is a guess. Add a camera, or let the person turn.",
            evidence=f"{100 * coverage.unseen:.1f} % of the skin is in none of the pictures looked at, soles left out",
            share=hidden / float(coverage.areas_m2.sum()),
        )
    ]


def _named(parts: list[str]) -> str:
    return listed([f"the {part}" for part in parts])
