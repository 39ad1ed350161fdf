"""Fair timing on a machine that others use too."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .case import Case
from .memory import extra_memory_mb

SECONDS_EACH, FEWEST, MOST = 2.0, 5, 50
Row = dict[str, object]
"""Figures by name, as a line of a table and of the file."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Wall and processor milliseconds of a case, measured again and again, and the memory that one run adds."""

    case: Case
    memory_mb: float | None
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def take(self) -> None:
        """Run once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.case.run()
        self.wall_ms.append(1e3 * (time.perf_counter() - wall))
        self.cpu_ms.append(1e3 * (time.process_time() - cpu))

    @property
    def median_ms(self) -> float:
        """The middle wall time."""
        return statistics.median(self.wall_ms)

    def rounds(self, most: int | None) -> int:
        """How often a case is worth running, judged by its first run, which does not count."""
        fitting = int(1e3 * SECONDS_EACH / self.wall_ms[0])
        limits = [limit for limit in (self.case.rounds, most) if limit is not None]
        return min(limits, default=max(FEWEST, min(MOST, fitting)))


def measure(cases: Sequence[Case], rounds: int | None) -> list[Timing]:
    """Time all cases in turns, so that a disturbance hits all alike."""
    timings = [Timing(case=case, memory_mb=extra_memory_mb(case.run) if case.alone else None) for case in cases]
    for timing in timings:
        timing.take()
    turns = [timing.rounds(rounds) for timing in timings]
    for timing in timings:
        timing.wall_ms.clear()
        timing.cpu_ms.clear()
    for turn in range(max(turns)):
        for timing, most in zip(timings, turns, strict=True):
            if turn < most:
                timing.take()
    return timings


def figures(timings: Sequence[Timing]) -> list[Row]:
    """A row of figures for each timing.

    ``spread_percent`` is half the distance of the quartiles; ``cpu_per_wall`` near two says that two cores worked.
    """
    of_engine = {(t.case.scene, t.case.passes): t.median_ms for t in timings if t.case.by == "engine"}
    return [_row(timing, of_engine.get((timing.case.scene, timing.case.passes))) for timing in timings]


def verdict(value: float, goal: int | float | None, floor: int | float | None) -> str | None:
    """``goal``, ``floor`` or ``missed``: the best of them that a value reaches; None without either."""
    if goal is None and floor is None:
        return None
    if goal is not None and value <= goal:
        return "goal"
    return "floor" if floor is not None and value <= floor else "missed"


def _row(timing: Timing, engine_ms: float | None) -> Row:
    case, median_ms = timing.case, timing.median_ms
    low, _, high = statistics.quantiles(timing.wall_ms, n=4) if len(timing.wall_ms) > 1 else [median_ms] * 3
    cpu_ms = statistics.median(timing.cpu_ms)
    return {
        "scene": case.scene,
        "passes": case.passes,
        "by": case.by,
        "rounds": len(timing.wall_ms),
        "median_ms": round(median_ms, 2),
        "min_ms": round(min(timing.wall_ms), 2),
        "spread_percent": round(50 * (high - low) / median_ms),
        "cpu_ms": round(cpu_ms, 2),
        "cpu_per_wall": round(cpu_ms / median_ms, 2),
        "memory_mb": timing.memory_mb,
        "times_engine": None if case.by == "engine" or engine_ms is None else round(median_ms / engine_ms, 1),
        "goal_ms": case.goal_ms,
        "floor_ms": case.floor_ms,
        "verdict": verdict(median_ms, case.goal_ms, case.floor_ms),
    }
