"""Inner rates."""

import math
from typing import Any

import pytest

from avatar.train.meta import CONFIGURED, EFFECTIVE, InnerRates, WarmUp


def test_every_kind_of_parameter_has_its_rate() -> None:
    rates = InnerRates(table=1.0, nets=2.0, colors=3.0, sharpness=4.0)
    names = ("table", "distance_in.weight", "colors.2.bias", "log_sharpness")
    assert [rates.of(name) for name in names] == [1.0, 2.0, 3.0, 4.0]


def test_the_two_published_readings() -> None:
    """The second climbs in 24 steps of each early task from 1e-4 to 5.75e-4, and is 1e-4 ever after."""
    assert {CONFIGURED.of("table") * CONFIGURED.factor(outer, 23) for outer in (0, 49, 50)} == {1e-2}
    rates = [EFFECTIVE.of("log_sharpness") * EFFECTIVE.factor(49, step) for step in (0, 1, 24)]
    assert rates == pytest.approx([1e-4, 1.198e-4, 5.752e-4])
    assert {EFFECTIVE.factor(50, step) for step in range(24)} == {1.0}


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_rates_are_checked(value: Any) -> None:
    with pytest.raises(ValueError, match=r"InnerRates\.sharpness: expected zero or more"):
        InnerRates(sharpness=value)
    with pytest.raises(ValueError, match=r"WarmUp\.climb: expected zero or more"):
        WarmUp(climb=value)
