"""A run that learns a prior."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.checkpoint import load_tensors, save_tensors, to_json

from ..order import shuffled
from ..run import Limits, Run, StepReport
from .learner import EFFECTIVE, InnerRates, Learner, Task
from .method import Method, Outer, Reptile
from .ranks import ALONE, Ranks


@dataclass(frozen=True, kw_only=True)
class MetaConfig:
    """How a prior is learnt: everything but what it is, the tasks and the run's length.

    Attributes:
        method: how the prior learns from tasks.
        rates: step sizes of the inner steps.
        tasks_per_step: whose mean is an outer step.
        checkpoint_seconds: time between checkpoints.
        seed: of everything random.
    """

    method: Method = field(default_factory=Reptile)
    rates: InnerRates = EFFECTIVE
    tasks_per_step: int = 1
    checkpoint_seconds: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tasks_per_step < 1:
            raise ValueError(f"MetaConfig.tasks_per_step: expected 1 or more, got {self.tasks_per_step}")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"MetaConfig.checkpoint_seconds: expected zero or more, got {self.checkpoint_seconds}")


class MetaFit(Run):
    """A run in a folder: iterate over it to take outer steps; what is there already is taken up where it stopped.

    ``prior`` is learnt in place, from where it begins in the first of the ``ranks``. All of them must see the same
    folder and take as many steps; only the first writes. Reports tell of the last inner steps.
    """

    _event_steps = 1

    def __init__(
        self,
        prior: nn.Module,
        tasks: Sequence[Task],
        run: Path,
        config: MetaConfig,
        limits: Limits,
        ranks: Ranks = ALONE,
    ) -> None:
        if not tasks:
            raise ValueError(f"{run}: no task to learn from")
        if ranks.count > config.tasks_per_step:
            raise ValueError(
                f"MetaConfig.tasks_per_step: expected a task for each of {ranks.count} processes at least, "
                f"got {config.tasks_per_step}"
            )
        self.prior, self.tasks, self.config, self.ranks = prior, tasks, config, ranks
        self._outer = Outer(prior, config.method, config.rates)
        super().__init__(run, limits, config.checkpoint_seconds)
        for parameter in prior.parameters():
            parameter.data.copy_(ranks.gather(parameter.data)[0])
        self._learner = Learner(prior, config.rates)

    def _begin(self) -> None:
        pass

    def _restore(self, checkpoint: Path, progress: Mapping[str, Any]) -> None:
        self.prior.load_state_dict(self._load_prior(checkpoint))
        self._outer.load(load_tensors(checkpoint / "training.safetensors"))

    def _fill(self, checkpoint: Path) -> None:
        self._save_prior(checkpoint)
        save_tensors(checkpoint / "training.safetensors", self._outer.tensors())

    def _load_prior(self, checkpoint: Path) -> Mapping[str, Tensor]:
        return load_tensors(checkpoint / "prior.safetensors")

    def _save_prior(self, checkpoint: Path) -> None:
        save_tensors(checkpoint / "prior.safetensors", self.prior.state_dict())

    def _identity(self) -> dict[str, Any]:
        return {"tasks": [task.name for task in self.tasks], "recipe": to_json(self.config)}

    def save(self) -> None:
        """Write a checkpoint now, if this is the first rank."""
        if self.ranks.index == 0:
            super().save()

    def _log(self, report: StepReport) -> None:
        if self.ranks.index == 0:
            super()._log(report)

    def _clock(self, seconds: float) -> float:
        return self.ranks.first(seconds)

    @property
    def facts(self) -> dict[str, int]:
        """How many tasks the prior has learnt from, those that came again counted again."""
        return {"num_tasks": self.step * self.config.tasks_per_step}

    def task(self, step: int, index: int) -> Task:
        """The task of this place among those of a step: each comes once an epoch."""
        place = step * self.config.tasks_per_step + index
        return self.tasks[shuffled(place, len(self.tasks), self.config.seed)]

    def _advance(self, fraction: float) -> tuple[float, float]:
        outcome, loss, psnr = self._mean_outcome()
        self._outer.step(outcome, self.config.method.outer_rate(fraction))
        return loss, psnr

    def _mean_outcome(self) -> tuple[Float[Tensor, " p"], float, float]:
        """What the tasks of this step make, and loss and PSNR, on the mean; added in one order, however many ranks."""
        count, ranks = self.config.tasks_per_step, self.ranks
        total = torch.zeros(())
        for first in range(0, count, ranks.count):
            gathered = ranks.gather(self._learn(min(first + ranks.index, count - 1)))
            for index, found in zip(range(first, count), gathered, strict=False):
                if not bool(found.isfinite().all()):
                    raise ValueError(
                        f"{self.run}: step {self.step}: the gradient is no number in {self.task(self.step, index).name}"
                        "; lower the rates, or leave it out"
                    )
                total = found + total
        mean = total / count
        return mean[:-2], float(mean[-2]), float(mean[-1])

    def _learn(self, index: int) -> Float[Tensor, " q"]:
        """What a task makes of the prior, and its last loss and PSNR; no numbers where a gradient is none."""
        task, place = self.task(self.step, index), self.step * self.config.tasks_per_step + index
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + place)
        seen = self._learner.adapt(task, self.config.method.inner_steps, self.step, generator)
        if seen is None:
            return torch.full(
                (sum(map(torch.numel, self.prior.parameters())) + 2,), torch.nan, device=self.ranks.device
            )
        outcome = self._outer.outcome(self._learner, task, generator)
        return torch.cat([outcome, outcome.new_tensor(seen)])
