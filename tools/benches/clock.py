"""Fair timing on a machine that others use too."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Part:
    """Wall and processor milliseconds of one thing, measured again and again."""

    name: str
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Time the body of a ``with``."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall_ms.append(1e3 * (time.perf_counter() - wall))
        self.cpu_ms.append(1e3 * (time.process_time() - cpu))

    def figures(self) -> dict[str, float]:
        """Median and least wall time (least is an undisturbed machine's), and median processor time of all threads."""
        found = {
            "median_ms": statistics.median(self.wall_ms),
            "min_ms": min(self.wall_ms),
            "cpu_ms": statistics.median(self.cpu_ms),
        }
        return {name: round(value, 2) for name, value in found.items()}


def interleaved(cases: Sequence[tuple[Part, Callable[[], object], int]]) -> None:
    """Run (part, what to time, rounds) in turns, so that a disturbance hits all alike; a first turn does not count."""
    for _, function, _ in cases:
        function()
    for turn in range(max(rounds for *_, rounds in cases)):
        for part, function, rounds in cases:
            if turn < rounds:
                with part.measured():
                    function()
