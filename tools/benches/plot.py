"""Figures as a picture: bars with goals, and curves."""

from collections.abc import Mapping, Sequence
from html import escape

from avatar.evaluate.charts import Axis, number

from .clock import Row

WIDTH, LEFT, RIGHT, LINE = 900, 330, 830, 20
PANEL_WIDTH, PANEL_HEIGHT, PANELS_A_LINE = 300, 240, 3
STYLE = """text{font:12px sans-serif;fill:#333}.end{text-anchor:end}.middle{text-anchor:middle}.title{font-weight:bold}
.engine{fill:#3a76c4}.peer{fill:#b9bec6}.goal{stroke:#2a9d4a;stroke-width:3}.floor{stroke:#d03b3b;stroke-width:3}
.grid{stroke:#e3e5e8}.curve{fill:none;stroke:#3a76c4;stroke-width:2}circle{fill:#3a76c4}"""


def draw(tables: Mapping[str, Sequence[Row]]) -> str:
    """An SVG: a bar for each case, its goal green and its floor red, then a panel for each curve; all logarithmic."""
    rows = [row for table in tables.values() for row in table]
    bars, height = _bars([row for row in rows if "median_ms" in row and "passes" in row])
    curves: dict[str, list[Row]] = {}
    for row in (row for row in rows if "curve" in row):
        curves.setdefault(f"{row['curve']}, ms over {row['along']}", []).append(row)
    for index, (title, points) in enumerate(curves.items()):
        line, place = divmod(index, PANELS_A_LINE)
        move = f"translate({place * PANEL_WIDTH},{height + line * PANEL_HEIGHT})"
        bars += f'<g transform="{move}">{_panel(title, points)}</g>'
    height += -(-len(curves) // PANELS_A_LINE) * PANEL_HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{bars}</svg>\n'
    )


def _bars(rows: Sequence[Row]) -> tuple[str, int]:
    """The bars, and the height that they take."""
    if not rows:
        return "", 0
    values = [_value(row, key) for row in rows for key in ("median_ms", "goal_ms", "floor_ms") if row[key] is not None]
    bottom = (len(rows) + 1) * LINE
    axis = Axis(low=min(values) / 2, high=max(values), start_px=LEFT, end_px=RIGHT, logarithmic=True)
    parts = [_text(LEFT - 8, 15, "median milliseconds", "end title")]
    for tick in axis.ticks():
        parts.append(_line("grid", axis.place(tick), 20, axis.place(tick), bottom))
        parts.append(_text(axis.place(tick), 15, number(tick), "middle"))
    for index, row in enumerate(rows, 1):
        y, end, kind = index * LINE, axis.place(_value(row, "median_ms")), "engine" if row["by"] == "engine" else "peer"
        parts.append(_text(LEFT - 8, y + 15, f"{row['scene']} · {row['passes']} · {row['by']}", "end"))
        parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y + 4}" width="{end - LEFT:.1f}" height="{LINE - 6}"/>')
        parts.append(_text(max(end, *_marks(axis, row)) + 6, y + 15, number(_value(row, "median_ms"))))
        for mark, x in zip(("goal", "floor"), _marks(axis, row), strict=True):
            parts.append(_line(mark, x, y + 2, x, y + LINE) if x else "")
    return "".join(parts), bottom + LINE


def _marks(axis: Axis, row: Row) -> tuple[float, float]:
    """Where goal and floor lie; zero where there is none."""
    goal, floor = (axis.place(_value(row, key)) if row[key] is not None else 0.0 for key in ("goal_ms", "floor_ms"))
    return goal, floor


def _panel(title: str, points: Sequence[Row]) -> str:
    xs, ys = ([_value(row, key) for row in points] for key in ("amount", "median_ms"))
    across = Axis(low=min(xs), high=max(xs), start_px=55, end_px=PANEL_WIDTH - 15, logarithmic=True)
    along = Axis(low=min(ys) / 1.5, high=max(ys) * 1.2, start_px=PANEL_HEIGHT - 40, end_px=34, logarithmic=True)
    placed = [(across.place(x), along.place(y)) for x, y in zip(xs, ys, strict=True)]
    parts = [_text(8, 20, title, "title")]
    for tick in along.ticks():
        parts.append(_line("grid", across.start_px, along.place(tick), across.end_px, along.place(tick)))
        parts.append(_text(across.start_px - 6, along.place(tick) + 4, number(tick), "end"))
    parts += [_text(across.place(x), PANEL_HEIGHT - 22, f"{x:,.0f}", "middle") for x in xs]
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    parts.append(f'<polyline class="curve" points="{curve}"/>')
    parts += [f'<circle r="3" cx="{x:.1f}" cy="{y:.1f}"/>' for x, y in placed]
    return "".join(parts)


def _value(row: Row, key: str) -> float:
    value = row[key]
    assert isinstance(value, int | float)
    return max(float(value), 1e-3)  # logarithms want more than zero


def _text(x: int | float, y: int | float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _line(kind: str, *ends: int | float) -> str:
    x1, y1, x2, y2 = (f"{end:.1f}" for end in ends)
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
