"""``avatar bench``: how fast the parts are on this machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from tyro.conf import Positional

from avatar.atomic import replacing

from .console import console, say, use_all_cores

Kernel = Literal[
    "rasterize", "hash_grid", "field", "march", "composite", "skin", "closest_point", "mesh_raster", "losses"
]
MIN_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class BenchCommand:
    """Measure the speed of a part on this machine. Close other programs first: timings of a busy machine say little.

    Example: avatar bench rasterize --json speed.json --plot speed.svg

    Attributes:
        name: a kernel, beside its specification in torch and the peers that are installed; step, one training step on
            the embedded sample, part by part; animate, a frame of a moving avatar; all of these; busy, how much
            slower rendering and training become where another job wants all cores; or viewer, what a frame costs the
            page of the web viewer, in a Chromium.
        curves: also measure how time grows with the size of the task and falls with threads.
        json: also write the figures to this file.
        plot: also draw them to this SVG file.
        rounds: how often everything is measured at most; by default for two seconds each.
    """

    name: Positional[Literal[Kernel, "step", "animate", "all", "busy", "viewer"]]
    curves: bool = False
    json: Path | None = None
    plot: Path | None = None
    rounds: int | None = None

    def __post_init__(self) -> None:
        if self.rounds is not None and self.rounds < 1:
            raise ValueError(f"--rounds: expected at least 1, got {self.rounds}")
        if self.plot is not None and self.plot.suffix != ".svg":
            raise ValueError(f"--plot: expected the name of an .svg file, got {self.plot}")


def run(config: BenchCommand) -> None:
    """Measure, print tables, write the figures."""
    from .benches.machine import describe_machine
    from .benches.memory import peak_memory_mb
    from .benches.plot import draw
    from .benches.suite import measure_tables
    from .benches.table import as_table

    use_all_cores()
    wide = Console(width=max(console.width, MIN_WIDTH))  # a cut table says nothing
    machine, tables = describe_machine(), {}
    for title, rows in measure_tables(config.name, config.rounds, config.curves):
        wide.print(as_table(title, rows))
        tables[title] = rows
    machine["peak_memory_mb"] = round(peak_memory_mb())
    say(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()))
    if config.json:
        with replacing(config.json) as path:
            path.write_text(json.dumps({"machine": machine, "tables": tables}, indent=1), encoding="utf-8")
    if config.plot:
        with replacing(config.plot) as path:
            path.write_text(draw(tables), encoding="utf-8")
