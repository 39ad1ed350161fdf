"""Numbers over a run."""

import math
from itertools import pairwise

import pytest

from avatar.train import Schedule


def test_straight_in_the_logarithm_between_knots() -> None:
    schedule = Schedule(knots=((0.2, 1.0), (0.4, 1.0), (0.8, 0.01), (1.0, 0.1)))
    expected = {0.0: 1.0, 0.2: 1.0, 0.3: 1.0, 0.5: 10**-0.5, 0.6: 0.1, 0.8: 0.01, 0.9: 10**-1.5, 1.0: 0.1, 2.0: 0.1}
    assert {fraction: schedule(fraction) for fraction in expected} == pytest.approx(expected)


def test_one_knot_is_a_constant() -> None:
    assert [Schedule(knots=((0.5, 3.0),))(fraction) for fraction in (0.0, 0.5, 1.0)] == [3.0] * 3


def test_two_knots_at_one_place_are_a_step() -> None:
    schedule = Schedule(knots=((0.5, 1.0), (0.5, 0.1)))
    assert [schedule(fraction) for fraction in (0.0, 0.4999, 0.5, 1.0)] == [1.0, 1.0, 0.1, 0.1]


def test_it_is_continuous_and_between_its_knots() -> None:
    schedule = Schedule(knots=((0.3, 1.0), (1.0, 0.08)))
    values = [schedule(step / 1000) for step in range(1001)]
    assert values == sorted(values, reverse=True)
    assert max(a / b for a, b in pairwise(values)) < 1.01
    assert (values[0], values[-1]) == (1.0, 0.08)


@pytest.mark.parametrize(
    "knots",
    [(), ((0.5, 1.0), (0.2, 1.0)), ((0.0, 0.0),), ((0.0, -1.0),), ((0.0, math.nan),)],
)
def test_knots_are_checked(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"Schedule\.knots: expected ascending fractions with positive values"):
        Schedule(knots=knots)
