"""Faults of single cameras, which show in all their frames: calibration, masks, colours.

A fit gives way: where one of six cameras is 2 pixels off, it takes over more than one of them and the neighbours get a
share of the rest. So thresholds are lower than the faults worth finding, and who has less than half of what the worst
camera has is taken for its neighbour: look again when that one is mended.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .cause import Cause, CauseConfig
from .comparison import Comparison, listed, typical

MIN_CAMERAS = 4  # fewer cannot tell what cameras usually have
TIMES_USUAL = 3.0  # how many times that a fault must be
OF_WORST = 0.5


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """A figure of every camera, median over frames, how far it is from what it should be, and how surely."""

    value: Float[np.ndarray, "c d"]
    size: Float[np.ndarray, " c"]
    error: Float[np.ndarray, " c"]

    @classmethod
    def of(cls, comparison: Comparison, figure: str, expected: float = 0.0) -> "Deviation":
        """Sizes are the lengths of shifts, and of other figures the largest deviation from what is expected."""
        table = comparison(figure)
        medians, errors = zip(*(typical(table[:, camera]) for camera in range(table.shape[1])), strict=True)
        value = np.stack(medians)
        is_vector = figure == "alignment.shift_px" and value.shape[1] == 2
        size = np.hypot(*value.T) if is_vector else np.abs(value - expected).max(1)
        size = np.where(comparison.is_known(), size, np.nan)  # nothing is over what is no number
        return cls(value=value, size=size, error=np.stack(errors).max(1))

    def accused(self, threshold: float, config: CauseConfig) -> list[int]:
        """Cameras beyond the threshold, beyond chance and far beyond what cameras usually have."""
        sizes = self.size[np.isfinite(self.size)]
        usual = float(np.median(sizes)) if len(sizes) >= MIN_CAMERAS else 0.0
        least = max(threshold, TIMES_USUAL * usual, OF_WORST * float(sizes.max(initial=0.0)))
        return np.flatnonzero(self.size > np.maximum(least, config.standard_errors * self.error)).tolist()


def camera_causes(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    """Cameras whose pictures all lie beside their renderings, have other outlines, or other colours."""
    return [
        *_unknown(comparison),
        *_calibration(comparison, config),
        *(_masks(comparison, *found) for found in _found(comparison, "outline.rim_px", 0.0, config.rim_px, config)),
        *(_colours(comparison, *found) for found in _found(comparison, "colour.ratio", 1.0, config.brightness, config)),
    ]


def _found(
    comparison: Comparison, figure: str, expected: float, threshold: float, config: CauseConfig
) -> list[tuple[int, Float[np.ndarray, " d"]]]:
    """The accused cameras, each with its figures."""
    deviation = Deviation.of(comparison, figure, expected)
    return [(camera, deviation.value[camera]) for camera in deviation.accused(threshold, config)]


def _unknown(comparison: Comparison) -> list[Cause]:
    """Cameras that look at what the fit does not know."""
    cameras = np.flatnonzero(~comparison.is_known()).tolist()
    if not cameras:
        return []
    names = listed([comparison.cameras[camera] for camera in cameras])
    explained = np.nanmedian(comparison("alignment.explained")[:, cameras], 0)
    return [
        Cause(
            kind="unknown",
            what=names,
            sentence=f"Renderings for {names} have little to do with the pictures: the fit has not seen these sides, "
            "or is not finished.",
            evidence="share of the pictures' variance that they explain: "
            + listed([f"{100 * share:.0f} %" for share in explained]),
            share=float(np.nansum(comparison.error[:, cameras])) / comparison.total,
        )
    ]


def _calibration(comparison: Comparison, config: CauseConfig) -> list[Cause]:
    shifts, scales = Deviation.of(comparison, "alignment.shift_px"), Deviation.of(comparison, "alignment.scale", 1.0)
    words: dict[int, list[str]] = {}
    for camera in shifts.accused(config.shift_px, config):
        text = f"shifted by at least {shifts.size[camera]:.1f} px {_direction(*shifts.value[camera])}"
        words.setdefault(camera, []).append(text)
    for camera in scales.accused(config.scale, config):
        text = f"{100 * scales.size[camera]:.1f} % too {'large' if scales.value[camera, 0] > 1 else 'small'}"
        words.setdefault(camera, []).append(text)
    return [
        Cause(
            kind="calibration",
            what=(name := comparison.cameras[camera]),
            sentence=f"{name} is {' and '.join(texts)}: check its calibration, or fit again with --refine.",
            evidence="where its pictures lie against their renderings, median over frames: "
            "{:+.2f} px right, {:+.2f} px down".format(*shifts.value[camera])
            + f", ± {shifts.error[camera]:.2f} px; scale {scales.value[camera, 0]:.4f}",
            share=comparison.excess(1, camera),
        )
        for camera, texts in words.items()
    ]


def _direction(right: float, down: float) -> str:
    """The larger of the two, in a word: ``to the left``."""
    if abs(right) > abs(down):
        return "to the right" if right > 0 else "to the left"
    return "down" if down > 0 else "up"


def _masks(comparison: Comparison, camera: int, rim_px: Float[np.ndarray, " d"]) -> Cause:
    name, rim = comparison.cameras[camera], float(rim_px[0])
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


def _colours(comparison: Comparison, camera: int, ratios: Float[np.ndarray, " d"]) -> Cause:
    name, overall = comparison.cameras[camera], float(ratios.mean())
    is_tint = float(np.ptp(ratios)) > abs(overall - 1)
    by = f"at least {100 * abs(overall - 1):.0f} % {'brighter' if overall > 1 else 'darker'}"
    gain, offset = (np.nanmedian(comparison(key)[:, camera], 0) for key in ("colour.gain", "colour.offset"))
    saved = comparison("error")[:, camera] - comparison("colour.error")[:, camera]
    return Cause(
        kind="colour",
        what=name,
        sentence=f"The pictures of {name} {'have another tint' if is_tint else f'are {by}'} than their renderings: "
        "lock exposure and white balance, or fit again with --refine.",
        evidence=f"picture over rendering in red / green / blue {_triple(ratios)}; best gain {_triple(gain)}, offset "
        f"{_triple(offset)}",
        share=max(0.0, float(np.nansum(saved)) / comparison.total),
    )


def _triple(values: Float[np.ndarray, "3"]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)
