"""Faults of single cameras, which show in all their frames: calibration, masks, colours."""

import numpy as np

from .cause import Cause, CauseConfig
from .comparison import Comparison, typical


def camera_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Cameras whose pictures all lie beside their renderings, have other outlines, or other colours."""
    cameras = range(len(comparison.cameras))
    found = [check(comparison, camera, config) for camera in cameras for check in (_calibration, _masks, _colours)]
    return [cause for cause in found if cause]


def _calibration(comparison: Comparison, camera: int, config: CauseConfig) -> Cause | None:
    name, frames = comparison.cameras[camera], len(comparison.frames)
    (right, down), shift_errors = typical(comparison("alignment.shift_px")[:, camera])
    (scale,), (scale_error,) = typical(comparison("alignment.scale")[:, camera])
    shift, error, growth = float(np.hypot(right, down)), float(np.hypot(*shift_errors)), float(scale - 1)
    words = []
    if shift > max(config.shift_px, config.standard_errors * error):
        words.append(f"shifted by {shift:.1f} px {_direction(right, down)}")
    if abs(growth) > max(config.scale, config.standard_errors * scale_error):
        words.append(f"{100 * abs(growth):.1f} % too {'large' if growth > 0 else 'small'}")
    if not words:
        return None
    return Cause(
        kind="calibration",
        what=name,
        sentence=f"{name} is {' and '.join(words)}: check its calibration, or let the fit correct cameras.",
        evidence=f"where its pictures lie against their renderings, median of {frames} frames: {right:+.2f} px right, "
        f"{down:+.2f} px down, ± {error:.2f} px; scale {scale:.4f}",
        share=comparison.excess(1, camera),
    )


def _direction(right: float, down: float) -> str:
    """The larger of the two, in a word: ``to the left``."""
    if abs(right) > abs(down):
        return "to the right" if right > 0 else "to the left"
    return "down" if down > 0 else "up"


def _masks(comparison: Comparison, camera: int, config: CauseConfig) -> Cause | None:
    name = comparison.cameras[camera]
    (rim,), (error,) = typical(comparison("outline.rim_px")[:, camera])
    if abs(rim) <= max(config.rim_px, config.standard_errors * error):
        return None
    sides = ("outline.outside", "outline.missing")
    outside, missing = (100 * float(np.nanmedian(comparison(side)[:, camera])) for side in sides)
    return Cause(
        kind="mask",
        what=name,
        sentence=f"The masks of {name} are {abs(rim):.1f} px {'narrower' if rim > 0 else 'wider'} all around than what "
        "is rendered: check how they were made.",
        evidence=f"rendered where the mask has nothing: {outside:.1f} % of the mask's area; mask that is not covered: "
        f"{missing:.1f} %",
        share=comparison.excess(1, camera),
    )


def _colours(comparison: Comparison, camera: int, config: CauseConfig) -> Cause | None:
    name = comparison.cameras[camera]
    ratios, errors = typical(comparison("colour.ratio")[:, camera])
    if not (np.abs(ratios - 1) > np.maximum(config.brightness, config.standard_errors * errors)).any():
        return None
    overall = float(ratios.mean())
    is_tint = np.ptp(ratios) > config.brightness
    by = f"{100 * abs(overall - 1):.0f} % {'brighter' if overall > 1 else 'darker'}"
    gain, offset = (np.nanmedian(comparison(key)[:, camera], 0) for key in ("colour.gain", "colour.offset"))
    saved = comparison("error")[:, camera] - comparison("colour.error")[:, camera]
    return Cause(
        kind="colour",
        what=name,
        sentence=f"The pictures of {name} {'have another tint' if is_tint else f'are {by}'} than their renderings: "
        "lock exposure and white balance, or let the fit correct colours.",
        evidence=f"picture over rendering in red / green / blue {_triple(ratios)}; best gain {_triple(gain)}, offset "
        f"{_triple(offset)}",
        share=float(np.nansum(saved)) / comparison.total,
    )


def _triple(values: np.ndarray) -> str:
    return " / ".join(f"{value:.2f}" for value in values)
