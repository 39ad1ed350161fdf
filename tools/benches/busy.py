"""How much slower the engine and a training step become where another job wants all cores."""

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from . import rasterize, step
from .case import Case
from .clock import Row, verdict
from .machine import usable_cores

GOAL, FLOOR, ROUNDS = 2.2, 3.0, 12
PHASE_SECONDS = 0.5
SPIN = "while True: pass"


def measure_busy(rounds: int | None) -> list[Row]:
    """The rasterizations with a goal and a training step, by turns on free and on busy cores."""
    cases = [case for module in (rasterize, step) for case in module.cases() if case.passes == "both"]
    cases = [case for case in cases if case.by == "engine" and case.goal_ms is not None]
    free: list[list[float]] = [[] for _ in cases]
    busy: list[list[float]] = [[] for _ in cases]
    with burners() as burn:
        for _ in range(rounds or ROUNDS):
            for burning, times in ((False, free), (True, busy)):
                burn(burning)
                for case, means in zip(cases, times, strict=True):
                    means.append(_mean_ms(case.run))
    return [_row(case, a, b) for case, a, b in zip(cases, free, busy, strict=True)]


@contextmanager
def burners() -> Iterator[Callable[[bool], None]]:
    """A process that spins for each core: the value lets them spin, or stops them."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(usable_cores())]

    def burn(burning: bool) -> None:
        for process in processes:
            process.send_signal(signal.SIGCONT if burning else signal.SIGSTOP)
        time.sleep(0.1)

    try:
        yield burn
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _mean_ms(run: Callable[[], object]) -> float:
    """Mean and not median: on a busy core most runs are quick and a few wait for their turn."""
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < PHASE_SECONDS:
        run()
        runs += 1
    return 1e3 * (time.perf_counter() - start) / runs


def _row(case: Case, free_ms: Sequence[float], busy_ms: Sequence[float]) -> Row:
    ratio = statistics.median(b / a for a, b in zip(free_ms, busy_ms, strict=True))
    return {
        "scene": case.scene,
        "passes": case.passes,
        "rounds": len(free_ms),
        "free_ms": round(statistics.median(free_ms), 2),
        "busy_ms": round(statistics.median(busy_ms), 2),
        "times_free": round(ratio, 2),
        "goal": GOAL,
        "floor": FLOOR,
        "verdict": verdict(ratio, GOAL, FLOOR),
    }
