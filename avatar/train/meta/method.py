"""The outer loop's step: where the prior goes when tasks have said where they want it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from ..optimizer import Optimizer
from ..schedule import Schedule
from .learner import BETAS, InnerRates, Learner, Task


def _falling(start: float) -> Schedule:
    return Schedule(knots=((0.0, start), (1.0, 0.1 * start)))


@dataclass(frozen=True, kw_only=True)
class Reptile:
    """The prior moves towards the mean of what tasks made of it (Nichol et al. 2018, section 5).

    Attributes:
        inner_steps: of each task.
        outer_rate: how far, over the run; with 1 and one task a step the prior is what the task made of it, as in the
            release of MetaCap.
    """

    inner_steps: int = 24
    outer_rate: Schedule = field(default_factory=lambda: _falling(1.0))

    def __post_init__(self) -> None:
        _check(self)
        if any(value > 1 for _, value in self.outer_rate.knots):
            raise ValueError(f"Reptile.outer_rate: expected at most 1, got {self.outer_rate.knots}")


@dataclass(frozen=True, kw_only=True)
class FirstOrderMaml:
    """Adam moves the prior by the gradient that held-out data has after the inner steps (Finn et al. 2017, 5.2).

    Attributes:
        inner_steps: of each task.
        outer_rate: times the inner rates, over the run.
    """

    inner_steps: int = 24
    outer_rate: Schedule = field(default_factory=lambda: _falling(0.3))

    def __post_init__(self) -> None:
        _check(self)


Method = Reptile | FirstOrderMaml


def _check(method: "Reptile | FirstOrderMaml") -> None:
    if method.inner_steps < 1:
        raise ValueError(f"{type(method).__name__}.inner_steps: expected 1 or more, got {method.inner_steps}")


class Outer:
    """Moves a prior by a method; what tasks say is one vector over all its parameters."""

    def __init__(self, prior: nn.Module, method: Method, rates: InnerRates) -> None:
        self.prior, self.method = prior, method
        match method:
            case Reptile():
                self._optimizer = None
            case FirstOrderMaml():
                self._optimizer = Optimizer(prior, rates, BETAS)

    def outcome(self, learner: Learner, task: Task, generator: torch.Generator) -> Float[Tensor, " p"]:
        """What a task says after the learner's inner steps on it."""
        match self.method:
            case Reptile():
                return parameters_to_vector(learner.module.parameters()).detach()
            case FirstOrderMaml():
                task.held_out(learner.module, generator).backward()
                return parameters_to_vector(
                    torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    for parameter in learner.module.parameters()
                )

    @torch.no_grad()
    def step(self, outcome: Float[Tensor, " p"], rate: float) -> None:
        """Move the prior by the mean of what the tasks of a step say."""
        parameters = list(self.prior.parameters())
        pieces = outcome.split([parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            if self._optimizer is None:
                parameter.lerp_(piece.view_as(parameter), rate)
            else:
                parameter.grad = piece.view_as(parameter)
        if self._optimizer is not None:
            self._optimizer.step(rate)

    def tensors(self) -> dict[str, Tensor]:
        """All that steps leave behind but the prior."""
        return {} if self._optimizer is None else self._optimizer.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``tensors`` gave."""
        if self._optimizer is not None:
            self._optimizer.load(tensors)
