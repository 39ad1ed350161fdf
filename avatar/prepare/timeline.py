"""One clock for all cameras: which frame of each video belongs to each time step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from avatar.structs import Camera

from .frame_shifts import find_frame_shifts
from .synchronise import MotionSignal, landmark_motion, synchronise
from .video import VideoConfig, VideoFrame, synchronised_frames

TRUSTED = 0.1  # confidence below which an offset is none
LOST, LOST_S = 0.1, 0.5  # share and seconds of the longest video that may go unused without a word
REACH = 3  # frames within which videos count as started together
RATE_HZ = 30.0  # of single pictures
NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """Time steps of all cameras.

    Attributes:
        rate_hz: time steps a second.
        offsets_s: what is added to each video's time to get the first one's.
        confidences: of the offsets, 0 to 1; NaN where clocks were not compared.
        rows: for each time step and camera the position among the video's frames to use; -1 where it has none.
        signals: what the clocks were compared by; empty where they were not.
    """

    rate_hz: float
    offsets_s: Float[ndarray, " c"]
    confidences: Float[ndarray, " c"]
    rows: Int[ndarray, "f c"]
    signals: tuple[MotionSignal, ...] = ()

    def __len__(self) -> int:
        """Number of time steps."""
        return len(self.rows)

    def every(self, stride: int) -> "Timeline":
        """Every so many time steps alone."""
        return replace(self, rate_hz=self.rate_hz / stride, rows=self.rows[::stride])

    def gather(self, values: Sequence[ndarray]) -> Tensor:
        """Each camera's values of its frames, ``f ...``, by time step, ``f c ...``; NaN where it has none."""
        columns = []
        for camera, of_frames in enumerate(values):
            rows = self.rows[:, camera]
            column = of_frames[np.maximum(rows, 0)].astype(np.float64)
            column[rows < 0] = np.nan
            columns.append(torch.from_numpy(column))
        return torch.stack(columns, dim=1)


def compare_clocks(
    times_s: Sequence[Float[ndarray, " _"]],
    points_px: Sequence[Float[ndarray, "_ 33 2"]],
    confidences: Sequence[Float[ndarray, "_ 33"]],
    rate_hz: float | None,
) -> Timeline:
    """The time line of videos by how the person moves in them.

    Offsets of no confidence are zero, and so are all where none is larger than a few frames: videos that were cut to
    begin together mostly begin together exactly, and ``shift_frames`` finds what is left. ``rate_hz`` is by default
    that of the slowest video. Raises ValueError where videos do not overlap.
    """
    rate, rates = rate_hz or slowest_hz(times_s), np.array([_rate_hz(times) for times in times_s])
    offsets, trust = np.zeros(len(times_s)), np.full(len(times_s), np.nan)
    signals: tuple[MotionSignal, ...] = ()
    if len(times_s) > 1 and min(map(len, times_s)) > 2:
        seen = zip(points_px, times_s, confidences, strict=True)
        signals = tuple(landmark_motion(*each) for each in seen)
        found = synchronise(signals)
        trust = found.confidences
        offsets = np.where(trust < TRUSTED, 0.0, found.offsets_s)
        if (np.abs(offsets) < (REACH + 0.5) / rates).all():
            offsets[:] = 0
    rows = rows_of(times_s, offsets, rate)
    return Timeline(rate_hz=rate, offsets_s=offsets, confidences=trust, rows=rows, signals=signals)


def shift_frames(
    timeline: Timeline,
    times_s: Sequence[Float[ndarray, " _"]],
    cameras: Sequence[Camera],
    points_px: Float[Tensor, "f c 33 2"],
    confidences: Float[Tensor, "f c 33"],
) -> Timeline:
    """The time line with offsets moved by the whole time steps at which the landmarks meet best in space."""
    if len(timeline) <= 4 * REACH or len(cameras) < 2:
        return timeline
    shifts = find_frame_shifts(cameras, points_px, confidences, REACH).frames.numpy()
    if not shifts.any():
        return timeline
    offsets = timeline.offsets_s - shifts / timeline.rate_hz
    return replace(timeline, offsets_s=offsets, rows=rows_of(times_s, offsets, timeline.rate_hz))


def rows_of(
    times_s: Sequence[Float[ndarray, " _"]], offsets_s: Float[ndarray, " c"], rate_hz: float
) -> Int[ndarray, "f c"]:
    """For each time step and camera the position of the nearest frame; -1 in gaps.

    ValueError without overlap, and for more time steps than a video may have frames.
    """
    most, shortest_s = VideoConfig().max_frames, min(float(np.ptp(times)) for times in times_s)
    if shortest_s * rate_hz > most:
        raise ValueError(f"{rate_hz:g} time steps a second: expected at most {most} in all; give a lower rate")

    def frames(times: Float[ndarray, " f"]) -> list[VideoFrame]:
        return [VideoFrame(index=row, time_s=float(time), picture=NO_PICTURE) for row, time in enumerate(times)]

    steps = synchronised_frames([frames(times) for times in times_s], offsets_s, rate_hz)
    rows = [[-1 if frame is None else frame.index for frame in step] for step in steps]
    if not rows:
        raise ValueError("the videos have no time in common; give those of one take, or check their frame rates")
    return np.array(rows)


def time_lost(
    names: Sequence[str], times_s: Sequence[Float[ndarray, " _"]], offsets_s: Float[ndarray, " c"]
) -> list[str]:
    """Where videos have clearly less time in common than the longest is long, a sentence on who cuts it short."""
    starts, ends = (np.array([times[at] for times in times_s]) + offsets_s for at in (0, -1))
    longest_s, common_s = float((ends - starts).max()), float(ends.min() - starts.max())
    if longest_s - common_s <= max(LOST_S, LOST * longest_s):
        return []
    late, early = int(starts.argmax()), int(ends.argmin())
    late_s, early_s = float(starts[late] - starts.min()), float(ends.max() - ends[early])
    cuts = [(late_s, f"{names[late]}: its video begins {late_s:.1f} s after the first one does")]
    cuts.append((early_s, f"{names[early]}: its video ends {early_s:.1f} s before the last one does"))
    used = f"only the {common_s:.1f} s that all videos show are used. Give all of it, or leave that camera out."
    return [f"{text}; {used}" for cut_s, text in cuts if cut_s > LOST_S / 2]


def slowest_hz(times_s: Sequence[Float[ndarray, " _"]]) -> float:
    """Frames a second of the slowest video."""
    return round(min(_rate_hz(times) for times in times_s), 4)


def _rate_hz(times_s: Float[ndarray, " f"]) -> float:
    """Frames a second, by the mean of their distances without gaps: some files have times in whole milliseconds."""
    distances = np.diff(times_s)
    if not len(distances):
        return RATE_HZ
    return float(1 / distances[distances < 1.5 * np.median(distances)].mean())
