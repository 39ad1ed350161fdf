"""The ways downhill: minimisers of functions whose unknowns are theirs to arrange."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

State = TypeVar("State")

MAX_DAMPING = 1e8


def levenberg_marquardt(
    start: State,
    cost: Callable[[State], float],
    linearised: Callable[[State], Callable[[float], State]],
    steps: int,
    tolerance: float,
) -> State:
    """A state of lower cost (Levenberg 1944; Marquardt 1963), after at most so many steps.

    ``linearised`` looks at the derivatives in a state and gives the state to go to for a damping. It ends where a step
    lowers the cost by less than ``tolerance`` of it, or no damping does at all.
    """
    state, lowest, damping = start, cost(start), 1e-4
    for _ in range(steps):
        damped = linearised(state)
        while damping < MAX_DAMPING:
            trial = damped(damping)
            found = cost(trial)
            if found <= lowest:
                break
            damping *= 10
        else:
            return state
        state, damping = trial, damping / 10
        if lowest - found < tolerance * lowest:
            break
        lowest = found
    return state


def lbfgs(
    cost: Callable[[], Float[Tensor, ""]], unknowns: Sequence[Tensor], steps: int, tolerance_change: float
) -> None:
    """Change the unknowns by L-BFGS (Liu and Nocedal 1989) with a line search that keeps to Wolfe's conditions.

    It ends after so many steps, or where cost or unknowns change by no more than ``tolerance_change``.
    """
    optimizer = torch.optim.LBFGS(
        list(unknowns),
        max_iter=steps,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=tolerance_change,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        value = cost()
        value.backward()
        return float(value.detach())

    optimizer.step(closure)
