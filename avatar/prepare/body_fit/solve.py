"""The optimiser, and how poses and person are its unknowns."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.structs import map_tensors

from .estimate import Estimate


def minimise(cost: Callable[[], Float[Tensor, ""]], unknowns: Sequence[Tensor], steps: int) -> None:
    """L-BFGS (Liu and Nocedal 1989) with a line search that keeps to Wolfe's conditions."""
    optimizer = torch.optim.LBFGS(
        list(unknowns),
        max_iter=steps,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        value = cost()
        value.backward()
        return float(value.detach())

    optimizer.step(closure)


def refine(start: Estimate, cost: Callable[[Estimate], Float[Tensor, ""]], steps: int, with_person: bool) -> Estimate:
    """The estimate of least cost near ``start``; shape and offsets are unknown too if asked."""
    turns, positions = start.turns.clone().requires_grad_(), start.root_positions.clone().requires_grad_()
    root_turns = torch.zeros_like(positions, requires_grad=True)
    person = [torch.zeros_like(values, requires_grad=True) for values in (start.shape, start.offsets)]
    even = len(start) ** -0.5  # what all frames share weighs as much as what one frame has

    def estimate() -> Estimate:
        return replace(
            start,
            shape=start.shape + even * person[0],
            offsets=start.offsets + even * person[1],
            root_quats=multiply_quats(quats_from_axis_angles(root_turns), start.root_quats),
            root_positions=positions,
            turns=turns,
        )

    unknowns = [turns, positions, root_turns, *(person if with_person else ())]
    minimise(lambda: len(start) * cost(estimate()), unknowns, steps)
    return map_tensors(estimate(), Tensor.detach)
