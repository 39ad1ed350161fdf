"""``avatar bench``: how fast the parts are on this machine."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich import box
from rich.table import Table
from tyro.conf import Positional

from avatar.atomic import replacing

from .console import console, use_all_cores


@dataclass(frozen=True, kw_only=True)
class BenchCommand:
    """Measure the speed of a part on this machine. Close other programs first: timings of a busy machine say little.

    Example: avatar bench rasterize --json speed.json

    Attributes:
        name: rasterize, the engine beside its specification in torch (one thread); animate, frames a second of a moving
            avatar; or step, one training step on the embedded sample, part by part.
        json: also write the figures to this file.
        rounds: how often everything is measured; by default enough for a steady median.
    """

    name: Positional[Literal["rasterize", "animate", "step"]]
    json: Path | None = None
    rounds: int | None = None

    def __post_init__(self) -> None:
        if self.rounds is not None and self.rounds < 1:
            raise ValueError(f"--rounds: expected at least 1, got {self.rounds}")


def run(config: BenchCommand) -> None:
    """Measure, print a table, write the figures."""
    from .benches import bench_animate, bench_rasterize, bench_step, describe_machine

    use_all_cores()
    match config.name:
        case "rasterize":
            rows = bench_rasterize(config.rounds or 15)
        case "animate":
            rows = bench_animate(config.rounds or 3)
        case "step":
            rows = bench_step(config.rounds or 50)
    machine = describe_machine()
    _print_table(config.name, rows, machine)
    if config.json:
        with replacing(config.json) as path:
            path.write_text(json.dumps({"name": config.name, "machine": machine, "rows": rows}, indent=1))


def _print_table(name: str, rows: Sequence[dict[str, object]], machine: dict[str, object]) -> None:
    columns = [column for column in dict.fromkeys(itertools.chain(*rows)) if column != "rounds"]  # it is in the file
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    table = Table(title=f"bench {name}", caption=facts, box=box.SIMPLE, padding=0)
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if isinstance(rows[0].get(column), str) else "right")
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    console.print(table)
