"""The figures of a diagnosis side by side, frames x cameras, and how to tell what stands out of them."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from .diagnosis import Diagnosis

MIN_EXPLAINED = 0.6  # of the variance of brightness; 0.75 and more where a fit has seen what it shows

Table = Float[np.ndarray, "f c"]

_WIDTHS = {"alignment.shift_px": 2, "colour.ratio": 3, "colour.gain": 3, "colour.offset": 3}  # where no picture has any


class Comparison:
    """Figures of a diagnosis as arrays of frames x cameras; NaN where a figure is missing.

    Attributes:
        frames, cameras: what rows and columns stand for.
        error, total: squared error of each picture, and of all.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.frames, self.cameras = diagnosis.frame_ids, diagnosis.cameras
        self._pictures = {(p.frame_id, p.camera): p for p in diagnosis.pictures}
        self.error = self("error")
        self.total = float(np.nansum(self.error)) or 1.0

    def __call__(self, name: str) -> np.ndarray:
        """A figure by its place in ``PictureCheck`` (``outline.iou``); a trailing axis where it has several values."""
        rows = [[_figure(self._pictures.get((f, c)), name) for c in self.cameras] for f in self.frames]
        found = (len(value) for row in rows for value in row if isinstance(value, tuple))
        size = max(found, default=_WIDTHS.get(name, 0))
        missing = (np.nan,) * size if size else np.nan
        return np.array([[missing if value is None else value for value in row] for row in rows], dtype=float)

    def detail_ratio(self) -> float:
        """Fine detail of the renderings over that of the pictures, root mean square."""
        rendered, seen = (float(np.nansum(np.square(self(name)))) for name in ("detail_rendered", "detail"))
        return (rendered / seen) ** 0.5 if seen else 1.0

    def is_known(self) -> Bool[np.ndarray, " c"]:
        """Cameras whose pictures the renderings explain: of the others nothing can be said but that."""
        explained = np.nan_to_num(self("alignment.explained"), nan=1.0)
        return np.median(explained, 0) > MIN_EXPLAINED

    def excess(self, axis: int, index: int) -> float:
        """Share of all error that a frame (axis 0) or a camera (1) has above the median of the others."""
        others = np.delete(self.error, index, axis)
        usual = np.nanmedian(others, axis) if others.size else 0.0
        return float(np.nansum(np.maximum(0, self.error.take(index, axis) - usual))) / self.total


def _figure(record: Any, place: str) -> Any:
    """None where any record on the way is None; of a tuple of records a tuple of figures."""
    for name in place.split("."):
        if isinstance(record, tuple):
            values = tuple(getattr(item, name) for item in record)
            record = tuple(np.nan if value is None else value for value in values)
        else:
            record = getattr(record, name, None)
    return record


def typical(values: Float[np.ndarray, "f ..."]) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Median over frames and its standard error, from the median absolute deviation; NaN frames do not count.

    The median of normal values has 1.25 times the standard error of their mean.
    """
    values = values.reshape(len(values), -1)
    values = values[np.isfinite(values).all(1)]
    if not len(values):
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.inf)
    median = np.median(values, 0)
    deviation = 1.4826 * np.median(np.abs(values - median), 0)
    return median, 1.25 * deviation / np.sqrt(len(values))


def against_cameras(table: Table) -> Float[np.ndarray, " f"]:
    """How far each frame is above what its cameras usually have, median over cameras: faults of cameras cancel."""
    return np.nan_to_num(np.nanmedian(table - np.nanmedian(table, 0), 1))


def ranges(frames: list[int], all_frames: tuple[int, ...]) -> str:
    """``frames 3, 12-15``: runs of neighbours among the frames looked at are drawn together."""
    places = [all_frames.index(frame) for frame in frames]
    breaks = [i for i in range(1, len(places)) if places[i] != places[i - 1] + 1]
    runs = [frames[start:end] for start, end in zip([0, *breaks], [*breaks, len(frames)], strict=True)]
    words = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return f"frame{'s' if len(frames) > 1 else ''} {words}"


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
