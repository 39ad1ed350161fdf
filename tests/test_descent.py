"""The minimisers, on functions whose minima are known."""

import math
from collections.abc import Callable

import pytest
import torch

from avatar.descent import lbfgs, levenberg_marquardt


def newton(state: float) -> Callable[[float], float]:
    """Damped steps for the residual x^2 - 2."""
    return lambda damping: state - (state**2 - 2) / (2 * state * (1 + damping))


def test_levenberg_marquardt_finds_the_root_of_two() -> None:
    found = levenberg_marquardt(5.0, lambda x: (x * x - 2) ** 2 / 2, newton, steps=50, tolerance=1e-12)
    assert found == pytest.approx(math.sqrt(2), abs=1e-6)


def test_levenberg_marquardt_stays_where_no_damping_helps() -> None:
    assert levenberg_marquardt(1.0, lambda x: -abs(x - 2), lambda x: lambda damping: 2.0, 5, 1e-6) == 1.0


def test_levenberg_marquardt_takes_no_more_steps_than_asked() -> None:
    """Each step halves the cost."""
    assert levenberg_marquardt(16.0, lambda x: x, lambda x: lambda damping: x / 2, steps=3, tolerance=1e-6) == 2.0


def test_lbfgs_finds_the_minimum_of_rosenbrocks_valley() -> None:
    place = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)

    def cost() -> torch.Tensor:
        x, y = place
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    lbfgs(cost, [place], steps=100, tolerance_change=0.0)
    assert place.detach() == pytest.approx(torch.ones(2, dtype=torch.float64), abs=1e-6)
