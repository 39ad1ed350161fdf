"""Training curves as inline SVG."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from .protocol import evenly_spread

WIDTH, HEIGHT = 420, 216
LEFT, RIGHT, TOP, BOTTOM = 48, 408, 10, 184
MAX_POINTS = 300

CHARTS = (("psnr", "PSNR while training (dB)", False), ("loss", "Loss", True), ("num_gaussians", "Gaussians", False))


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values laid along a range of pixels, linearly or by logarithm."""

    low: float
    high: float
    start_px: int
    end_px: int
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, in pixels."""
        low, high, value = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        """Three to six round values in the range."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            values = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
            inside = [value for value in values if self.low <= value <= self.high]
            return inside if len(inside) <= 6 else [v for v in inside if math.log10(v).is_integer()]
        if self.high <= self.low:
            return [self.low]
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / 3))
        step = next(m * power for m in (5, 2, 1) if m * power * 3 <= self.high - self.low)
        return [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def training_charts(events: Sequence[Mapping[str, object]]) -> list[str]:
    """Charts of PSNR, loss and number of Gaussians over the time (or steps) of a training; rows may lack any key."""
    along = "seconds" if any("seconds" in row for row in events) else "step"
    series = [(title, logarithmic, _points(events, along, key)) for key, title, logarithmic in CHARTS]
    return [line_chart(title, along, points, logarithmic) for title, logarithmic, points in series if len(points) > 1]


def line_chart(title: str, along: str, points: Sequence[tuple[float, float]], logarithmic: bool = False) -> str:
    """One curve as an HTML ``figure`` with its last value in the caption; ``logarithmic`` needs positive values."""
    points = [points[i] for i in evenly_spread(len(points), MAX_POINTS)]
    xs, ys = zip(*points, strict=True)
    x_axis = Axis(low=min(xs), high=max(xs), start_px=LEFT, end_px=RIGHT)
    y_axis = Axis(low=min(ys), high=max(ys), start_px=BOTTOM, end_px=TOP, logarithmic=logarithmic and min(ys) > 0)
    placed = [(round(x_axis.place(x), 1), round(y_axis.place(y), 1)) for x, y in points]
    curve = " ".join(f"{x},{y}" for x, y in placed)
    labels = [f"{number(x)} {along}: {number(y)}" for x, y in points]
    data = json.dumps([[*place, label] for place, label in zip(placed, labels, strict=True)])
    return (
        f'<figure class="chart"><figcaption>{escape(title)} <b>{number(ys[-1])}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" data-points="{escape(data)}">{_grid(x_axis, y_axis, along)}'
        f'<polyline points="{curve}"/><circle r="4" cx="{placed[-1][0]}" cy="{placed[-1][1]}"/></svg></figure>'
    )


def number(value: float) -> str:
    """Four digits of a value at most, thousands apart: ``0.0123``, ``31.42``, ``20,480``."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _points(events: Sequence[Mapping[str, object]], along: str, key: str) -> list[tuple[float, float]]:
    """(x, y) of the rows that hold two finite numbers."""
    rows = [(row.get(along), row.get(key)) for row in events]
    pairs = [(x, y) for x, y in rows if isinstance(x, int | float) and isinstance(y, int | float)]
    return [(float(x), float(y)) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _grid(x_axis: Axis, y_axis: Axis, along: str) -> str:
    """Grid lines with their values, and what runs along x."""
    parts = [f'<text class="along" x="{RIGHT}" y="{HEIGHT - 2}">{escape(along)}</text>']
    for value in y_axis.ticks():
        y = round(y_axis.place(value), 1)
        parts.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4}">{number(value)}</text>')
    for value in x_axis.ticks():
        parts.append(f'<text class="x" x="{round(x_axis.place(value), 1)}" y="{BOTTOM + 16}">{number(value)}</text>')
    return "".join(parts)
