"""The inner loop: a few steps of Adam from what the prior says, on one task."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..optimizer import Optimizer, check_rates, has_finite_gradient

BETAS = (0.9, 0.99)


@runtime_checkable
class Task(Protocol):
    """Something that a module learns in a few steps, such as one frame of a capture.

    Whatever is random comes from the generator, so that a run can be repeated.
    """

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def look(self, module: nn.Module, step: int, generator: torch.Generator) -> tuple[Float[Tensor, ""], float]:
        """The loss that inner step ``step``, from 0, makes smaller, and the PSNR of what it looks at, dB."""
        ...

    def held_out(self, module: nn.Module, generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss that should be small after them: on data that they do not use."""
        ...


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Rates that climb from task to task anew, as the release of MetaCap (Sun et al. 2024) makes them at first.

    Attributes:
        outer_steps: how many begin so; later ones keep their rates.
        climb: share of a rate that every inner step adds to it.
    """

    outer_steps: int = 50
    climb: float = 0.198

    def __post_init__(self) -> None:
        check_rates(self)


@dataclass(frozen=True, kw_only=True)
class InnerRates:
    """Step size of each kind of parameter in inner steps.

    Attributes:
        table: of the hash grid's features.
        nets, colors: of weights and biases, those of the colours apart.
        sharpness: of the surface's.
        warm_up: how they climb in the first outer steps; None for not at all.
    """

    table: float = 1e-2
    nets: float = 1e-2
    colors: float = 1e-2
    sharpness: float = 1e-2
    warm_up: WarmUp | None = None

    def __post_init__(self) -> None:
        check_rates(self)

    def of(self, parameter: str) -> float:
        """The rate of a parameter by its name in the module."""
        match parameter.split("."):
            case [*_, "table"]:
                return self.table
            case ["colors", *_]:
                return self.colors
            case [*_, "log_sharpness"]:
                return self.sharpness
            case _:
                return self.nets

    def factor(self, outer_step: int, inner_step: int) -> float:
        """What all rates are multiplied by in an inner step."""
        if self.warm_up is None or outer_step >= self.warm_up.outer_steps:
            return 1.0
        return 1.0 + self.warm_up.climb * inner_step


CONFIGURED = InnerRates()
"""The rates that MetaCap's configuration names."""

EFFECTIVE = InnerRates(table=1e-4, nets=1e-4, colors=1e-4, sharpness=1e-4, warm_up=WarmUp())
"""The rates that its release runs with: a warm-up begins anew at each task, and only the first 50 take its steps."""


class Learner:
    """Takes the inner steps of one task after another in one copy of a module, with a fresh Adam for each."""

    def __init__(self, prior: nn.Module, rates: InnerRates) -> None:
        self.prior, self.rates = prior, rates
        self.module = deepcopy(prior)
        self._optimizer = Optimizer(self.module, rates, BETAS)

    def adapt(self, task: Task, steps: int, outer_step: int, generator: torch.Generator) -> tuple[float, float] | None:
        """Begin with the prior, and take steps: the loss before the last, and its PSNR.

        None where a gradient was no number, which ends it.
        """
        self.module.load_state_dict(self.prior.state_dict())
        self.module.zero_grad()
        self._optimizer.reset()
        loss, psnr = torch.zeros(()), 0.0
        for step in range(steps):
            loss, psnr = task.look(self.module, step, generator)
            loss.backward()
            if not has_finite_gradient(self.module):
                return None
            self._optimizer.step(self.rates.factor(outer_step, step))
        return float(loss.detach()), psnr
