"""A run that learns a prior."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.checkpoint import load_tensors, newest_checkpoint, save_tensors, to_json, write_checkpoint

from ..events import Events
from ..order import shuffled
from ..run import Limits
from .learner import EFFECTIVE, InnerRates, Learner, Task
from .method import Method, Outer, Reptile
from .ranks import Ranks

_ALONE = Ranks()
_TENSORS, _TRAINING, _DESCRIPTION = "prior.safetensors", "training.safetensors", "prior.json"


@dataclass(frozen=True, kw_only=True)
class MetaConfig:
    """A recipe for a prior: everything but the tasks and the run's length.

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


@dataclass(frozen=True, kw_only=True)
class MetaReport:
    """What one outer step did: for progress bars.

    Attributes:
        loss_before, loss_after: of its tasks at their first and last inner step.
    """

    step: int
    seconds: float
    fraction: float
    loss_before: float
    loss_after: float


class MetaFit:
    """A run in a folder: iterate over it to take outer steps; what is there already is taken up where it stopped.

    ``prior`` is learnt in place, from where it begins; ``about`` says in JSON what it is, and is kept beside it. All
    ``ranks`` must make the same one, see the same folder, and iterate until it ends; only the first of them writes.
    """

    def __init__(
        self,
        prior: nn.Module,
        tasks: Sequence[Task],
        run: Path,
        config: MetaConfig,
        limits: Limits,
        *,
        about: Mapping[str, Any] | None = None,
        ranks: Ranks = _ALONE,
    ) -> None:
        self.prior, self.tasks, self.run, self.ranks = prior, tasks, run, ranks
        self.config, self.limits, self.about = config, limits, dict(about or {})
        if not tasks:
            raise ValueError(f"{run}: no task to learn from")
        if ranks.count > config.tasks_per_step:
            raise ValueError(
                f"{ranks.count} processes share {config.tasks_per_step} tasks a step; expected as many tasks at least"
            )
        self.step, self.seconds = 0, 0.0
        self._outer = Outer(prior, config.method, config.rates)
        self._learner = Learner(prior, config.rates)
        if any(run.glob("checkpoint-*")):
            self._resume()
        self._events = Events(run / "events.jsonl", self.step) if ranks.index == 0 else None
        self._saved_at = self.seconds
        self._is_stopping = False

    def _resume(self) -> None:
        folder = newest_checkpoint(self.run)
        path = folder / _DESCRIPTION
        try:
            found = json.loads(path.read_text())
            self.step, self.seconds = found["step"], found["seconds"]
            other = [name for name, wanted in self._identity().items() if found[name] != wanted]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error!r}); learn again with --overwrite") from error
        if other:
            raise ValueError(f"{self.run}: holds a prior with another {other[0]}; give another --run, or --overwrite")
        self.prior.load_state_dict(load_tensors(folder / _TENSORS))
        self._outer.load(load_tensors(folder / _TRAINING))

    def _identity(self) -> dict[str, Any]:
        """What a run must have in common with the one it takes up."""
        return {"about": self.about, "tasks": [task.name for task in self.tasks], "recipe": to_json(self.config)}

    def save(self) -> None:
        """Write a checkpoint now, if this is the first rank."""
        self._saved_at = self.seconds
        if self.ranks.index:
            return
        description = {**self._identity(), "step": self.step, "seconds": self.seconds}

        def fill(folder: Path) -> None:
            save_tensors(folder / _TENSORS, self.prior.state_dict())
            save_tensors(folder / _TRAINING, self._outer.tensors())
            (folder / _DESCRIPTION).write_text(json.dumps(description))

        write_checkpoint(self.run, self.step, fill)

    def stop(self) -> None:
        """End after this outer step, saved: on all ranks, whichever of them says so."""
        self._is_stopping = True

    @property
    def fraction(self) -> float:
        """How much of the run is over, 0 to 1."""
        return self.limits.fraction(self.step, self.seconds)

    def __iter__(self) -> Iterator[MetaReport]:
        """Take outer steps until the limit, and one at least; checkpoints are written on the way and at the end."""
        while self.fraction < 1 or self.step == 0:
            start = time.perf_counter()
            outcome, losses = self._mean_outcome()
            self._outer.step(outcome, self.config.method.outer_rate(self.fraction))
            self.step += 1
            self.seconds = self.ranks.first(self.seconds + time.perf_counter() - start)
            before, after = losses.tolist()
            report = MetaReport(
                step=self.step,
                seconds=self.seconds,
                fraction=self.fraction,
                loss_before=before,
                loss_after=after,
            )
            self._log(report)
            if self.fraction >= 1 or self.seconds - self._saved_at >= self.config.checkpoint_seconds:
                self.save()
            yield report
            if self.ranks.any(self._is_stopping):
                self.save()
                return

    def _mean_outcome(self) -> tuple[Float[Tensor, " p"], Float[Tensor, "2"]]:
        """What the tasks of this step say, and their losses, on the mean; added in one order, however many ranks."""
        count, ranks = self.config.tasks_per_step, self.ranks
        total: Tensor | float = 0.0
        for first in range(0, count, ranks.count):
            mine = min(first + ranks.index, count - 1)
            for task_index, found in enumerate(ranks.gather(self._learn(mine)), first):
                if task_index == count:
                    break
                if not bool(found.isfinite().all()):
                    raise ValueError(
                        f"{self.run}: step {self.step}: the gradient is no number in {self.task(task_index).name}; "
                        "lower the rates, or leave it out"
                    )
                total = found + total
        assert isinstance(total, Tensor)
        mean = total / count
        return mean[:-2], mean[-2:]

    def task(self, index: int) -> Task:
        """The task of this place in the current step: each comes once an epoch."""
        place = self.step * self.config.tasks_per_step + index
        return self.tasks[shuffled(place, len(self.tasks), self.config.seed)]

    def _learn(self, index: int) -> Float[Tensor, " q"]:
        """What a task says, and its first and last loss."""
        task, method = self.task(index), self.config.method
        place = self.step * self.config.tasks_per_step + index
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + place)
        losses = self._learner.adapt(task, method.inner_steps, self.step, generator)
        if not bool(losses[-1].isfinite()):
            size = sum(map(torch.numel, self.prior.parameters()))
            return torch.full((size + 2,), torch.nan, device=self.ranks.device)
        outcome = self._outer.outcome(self._learner, task, generator)
        return torch.cat([outcome, losses[[0, -1]].to(outcome)])

    def _log(self, report: MetaReport) -> None:
        if self._events is not None:
            self._events.add(**vars(report) | {"seconds": round(report.seconds, 3)})
