"""How the clocks of several videos differ, from how a person moves in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

LOBE_S = 0.25  # offsets nearer to the best one than this are no rivals


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionSignal:
    """Something that all cameras see at the same time, by one video's own clock.

    Attributes:
        times_s: moments, increasing.
        values: any number of signals, NaN where nothing is known.
    """

    times_s: Float[ndarray, " f"]
    values: Float[ndarray, "f d"]

    def __post_init__(self) -> None:
        if len(self.times_s) < 2 or not (np.diff(self.times_s) > 0).all():
            raise ValueError("MotionSignal.times_s: expected two or more times that increase")

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return float(1 / np.median(np.diff(self.times_s)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Synchronisation:
    """The clocks of several videos.

    Attributes:
        offsets_s: what to add to each video's own time to get the first one's.
        confidences: 0 to 1 for each video: how far its correlation with the others stands out from that at any other
            offset. Below a tenth, do not trust it.
    """

    offsets_s: Float[ndarray, " c"]
    confidences: Float[ndarray, " c"]


def landmark_motion(
    points_px: Float[ndarray, "f j 2"],
    times_s: Float[ndarray, " f"],
    confidences: Float[ndarray, "f j"] | None = None,
    smooth_s: float = 0.05,
) -> MotionSignal:
    """How fast landmarks move down in the picture, in heights of the person a second: alike in all upright cameras.

    Landmarks are NaN where nobody was found; those of confidence below one half do not count.
    """
    heights = points_px[..., 1].astype(np.float64)
    found = heights[np.isfinite(heights).any(axis=1)]
    size = np.median(np.nanmax(found, axis=1) - np.nanmin(found, axis=1)) if len(found) else 1.0
    if confidences is not None:
        heights = np.where(confidences < 0.5, np.nan, heights)
    speeds = np.diff(heights, axis=0) / np.diff(times_s)[:, None] / max(size, 1e-6)
    middles = (times_s[1:] + times_s[:-1]) / 2
    return MotionSignal(times_s=middles, values=_smoothed(speeds, smooth_s / float(np.median(np.diff(times_s)))))


def synchronise(signals: Sequence[MotionSignal], min_overlap_s: float = 1.0) -> Synchronisation:
    """The offsets at which every video correlates best with all others.

    Videos join one after the other, the surest first, and are then placed again, each by all others. They may differ in
    rate, start and length; two of them overlap by at least ``min_overlap_s`` and a quarter of the shorter one. Offsets
    are good to a frame of the fastest video; one is zero, with no confidence, where nothing correlates.
    """
    if not signals:
        raise ValueError("synchronise: expected at least one video, got none")
    rate_hz = max((signal.rate_hz for signal in signals), default=1.0)
    starts, grids = zip(*(_resampled(signal, rate_hz) for signal in signals), strict=True)
    reach, lobe = sum(map(len, grids)), round(LOBE_S * rate_hz)
    similar = np.zeros((len(grids), len(grids), 2 * reach + 1))
    for i, j in combinations(range(len(grids)), 2):
        similar[i, j] = _correlations(grids[i], grids[j], reach, round(min_overlap_s * rate_hz))
        similar[j, i] = similar[i, j, ::-1]

    lags, confidences = [0] * len(grids), [1.0] * len(grids)

    def look(video: int, others: Sequence[int]) -> tuple[int, float]:
        shifted = [_shifted(similar[other, video], lags[other]) for other in others]
        return _peak(np.mean(shifted, axis=0), starts[video] - starts[0], lobe)

    placed, waiting = [0], set(range(1, len(grids)))
    while waiting:
        found = {video: look(video, placed) for video in sorted(waiting)}
        surest = max(found, key=lambda video: found[video][1])
        lags[surest] = found[surest][0]
        waiting.remove(surest)
        placed.append(surest)
    for video in [*placed[1:], *placed[1:], *placed[: len(grids) > 1]]:
        lag, confidences[video] = look(video, [other for other in placed if other != video])
        lags[video] = lag if video else 0
    offsets_s = (np.array(lags) + starts[0] - np.array(starts)) / rate_hz
    return Synchronisation(offsets_s=offsets_s, confidences=np.array(confidences))


def _smoothed(values: Float[ndarray, "f d"], sigma: float) -> Float[ndarray, "f d"]:
    """Convolved with a Gaussian over what is known, by its width in samples."""
    if sigma < 0.3:
        return values
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    known = np.isfinite(values)

    def convolve(columns: ndarray) -> ndarray:
        padded = np.pad(columns, ((reach, reach), (0, 0)))
        return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)

    weight = convolve(known.astype(np.float64))
    mean = convolve(np.where(known, values, 0)) / np.maximum(weight, 1e-12)
    return np.where(known, mean, np.nan)


def _resampled(signal: MotionSignal, rate_hz: float) -> tuple[int, Float[ndarray, "f d"]]:
    """Samples at the multiples of ``1 / rate_hz`` and the number of the first; unknown where a neighbour is."""
    first, last = int(np.ceil(signal.times_s[0] * rate_hz - 1e-6)), int(signal.times_s[-1] * rate_hz + 1e-6)
    times = np.arange(first, last + 1) / rate_hz
    return first, np.stack([np.interp(times, signal.times_s, column) for column in signal.values.T], axis=1)


def _shifted(values: Float[ndarray, " s"], lag: int) -> Float[ndarray, " s"]:
    """The function moved to larger arguments by ``lag``, zero where nothing is known."""
    moved = np.roll(values, lag)
    moved[: max(lag, 0)] = 0
    moved[len(moved) + min(lag, 0) :] = 0
    return moved


def _peak(similar: Float[ndarray, " s"], fallback: int, lobe: int) -> tuple[int, float]:
    """The lag of the highest value, and how far that stands out from the rest, 0 to 1; ``fallback`` if none is."""
    best, reach = int(np.argmax(similar)), len(similar) // 2
    if similar[best] <= 0:
        return fallback, 0.0
    rivals = np.concatenate([similar[: max(best - lobe, 0)], similar[best + lobe + 1 :], [0.0]])
    return best - reach, float(np.clip(similar[best] - rivals.max(), 0, 1))


def _correlations(
    left: Float[ndarray, "f d"], right: Float[ndarray, "g d"], reach: int, min_overlap: int
) -> Float[ndarray, " s"]:
    """Normalised correlation when ``right`` is delayed by ``-reach .. reach`` samples, over what both know.

    All lags at once by Fourier transforms (Padfield, "Masked Object Registration in the Fourier Domain", 2012), shrunk
    where the overlap is short, since short pieces correlate by chance; zero where it is too short.
    """
    size = len(left) + len(right) - 1
    known_left, known_right = (np.isfinite(values).astype(np.float64) for values in (left, right))
    left, right = np.nan_to_num(left), np.nan_to_num(right)

    def correlate(first: ndarray, second: ndarray) -> ndarray:
        product = np.fft.rfft(first, size, axis=0) * np.conj(np.fft.rfft(second, size, axis=0))
        return np.roll(np.fft.irfft(product, size, axis=0), len(right) - 1, axis=0)

    counts = np.maximum(correlate(known_left, known_right), 1e-9)
    sum_left, sum_right = correlate(left, known_right), correlate(known_left, right)
    covariance = correlate(left, right) - sum_left * sum_right / counts
    variance_left = (correlate(left**2, known_right) - sum_left**2 / counts).sum(axis=1)
    variance_right = (correlate(known_left, right**2) - sum_right**2 / counts).sum(axis=1)
    scale = np.sqrt(np.clip(variance_left, 0, None) * np.clip(variance_right, 0, None))
    overlaps = counts.max(axis=1)
    is_enough = overlaps > max(min_overlap, min(len(left), len(right)) // 4) - 0.5
    is_enough &= scale > 1e-6 * scale.max() + 1e-12
    shrunk = overlaps / (overlaps + min_overlap) * covariance.sum(axis=1) / np.where(is_enough, scale, 1)
    padding = reach - (len(right) - 1), reach - (len(left) - 1)
    return np.pad(np.where(is_enough, shrunk, 0), padding)
