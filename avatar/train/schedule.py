"""Numbers that change over a run."""

import math
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A positive value over a run, straight lines in its logarithm between knots.

    Attributes:
        knots: (fraction of the run, value) pairs, fractions ascending; constant before the first and after the last.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        fractions = [fraction for fraction, _ in self.knots]
        if not fractions or fractions != sorted(fractions) or not all(value > 0 for _, value in self.knots):
            raise ValueError(f"Schedule.knots: expected ascending fractions with positive values, got {self.knots}")

    def __call__(self, fraction: float) -> float:
        """The value at ``fraction`` of the run."""
        place = bisect_right([at for at, _ in self.knots], fraction)
        if place in (0, len(self.knots)):
            return self.knots[max(place - 1, 0)][1]
        (start, low), (end, high) = self.knots[place - 1 : place + 1]
        return low * math.exp(math.log(high / low) * (fraction - start) / (end - start))
