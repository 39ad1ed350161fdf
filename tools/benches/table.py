"""Figures as a table to read."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table

from .clock import Row

HEADS: Final = {
    "median_ms": "ms",
    "min_ms": "min",
    "spread_percent": "± %",
    "cpu_ms": "cpu",
    "cpu_per_wall": "cpu/wall",
    "memory_mb": "MB",
    "times_engine": "x engine",
    "goal_ms": "goal",
    "floor_ms": "floor",
    "free_ms": "free ms",
    "busy_ms": "busy ms",
    "times_free": "x free",
}
COLORS: Final = {"goal": "green", "floor": "yellow", "missed": "red"}


def as_table(title: str, rows: Sequence[Row]) -> Table:
    """A line for each row, without columns that say nothing; a scene stands once."""
    names = [name for name in rows[0] if name != "rounds" and len({row[name] for row in rows} - {None, "engine"})]
    table = Table(title=f"bench {title}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        is_text = isinstance(rows[0][name], str)
        table.add_column(HEADS.get(name, name), justify="left" if is_text else "right", no_wrap=True)
    for above, row in zip(({}, *rows), rows, strict=False):
        repeated = names[0] if above and above[names[0]] == row[names[0]] else None
        table.add_row(*("" if name == repeated else _cell(row[name]) for name in names))
    return table


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        case str() if value in COLORS:
            return f"[{COLORS[value]}]{value}[/]"
        case _:
            return str(value)
