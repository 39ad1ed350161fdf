"""Steps in a folder: limits, checkpoints, events, and taking up what was stopped."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from avatar.checkpoint import newest_checkpoint, write_checkpoint

from .events import Events


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a run ends: after ``steps``, or after ``budget_seconds`` of training, whichever is given.

    A run limited by steps is reproducible bit for bit; one limited by time depends on the machine's speed.
    """

    steps: int | None = 4000
    budget_seconds: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.steps, self.budget_seconds) if value is not None]
        if not given or not all(value > 0 for value in given):
            raise ValueError(
                f"Limits: expected positive steps or budget_seconds, got {self.steps}, {self.budget_seconds}"
            )

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the run is over, 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / self.budget_seconds if self.budget_seconds else 0.0
        return min(1.0, max(by_steps, by_time))


def psnr_of(mean_square: Float[Tensor, ""]) -> float:
    """PSNR in dB of a mean squared difference of sRGB in [0, 1]; at most 100."""
    return -10 * math.log10(max(float(mean_square), 1e-10))


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did: for progress bars.

    Attributes:
        facts: counts that belong to what is fitted, such as ``num_gaussians``.
    """

    step: int
    seconds: float
    fraction: float
    loss: float
    psnr: float
    facts: Mapping[str, int]


class Run(ABC):
    """A run in a folder: iterate over it to take steps; what is there already is taken up where it stopped.

    Attributes:
        step: how many were taken.
        seconds: of training, over all the times that the run was taken up.
    """

    _event_steps = 10  # whose mean is a row of events

    def __init__(self, run: Path, limits: Limits, checkpoint_seconds: float) -> None:
        self.run, self.limits, self._checkpoint_seconds = run, limits, checkpoint_seconds
        self.step, self.seconds = 0, 0.0
        if any(run.glob("checkpoint-*")):
            self._resume()
        else:
            run.mkdir(parents=True, exist_ok=True)
            self._begin()
        self._events = Events(run / "events.jsonl", self.step)
        self._saved_at = self.seconds
        self._recent: list[tuple[float, float]] = []

    @abstractmethod
    def _identity(self) -> dict[str, Any]:
        """What a run must have in common with the one it takes up, as JSON data."""

    @abstractmethod
    def _begin(self) -> None:
        """Make what is trained."""

    @abstractmethod
    def _restore(self, checkpoint: Path, progress: Mapping[str, Any]) -> None:
        """Read what ``_fill`` wrote; ``progress`` has what ``_progress`` gave, or raises KeyError."""

    @abstractmethod
    def _fill(self, checkpoint: Path) -> None:
        """Write tensors into a new folder."""

    def _progress(self) -> dict[str, Any]:
        """Counts that a checkpoint keeps beside step and seconds."""
        return {}

    @abstractmethod
    def _advance(self, fraction: float) -> tuple[float, float]:
        """One step, ``fraction`` of the run being over: the loss, and the PSNR of what was looked at."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, int]:
        """Counts to show beside the progress."""

    def _clock(self, seconds: float) -> float:
        """The time that counts, where several processes each have theirs."""
        return seconds

    @property
    def fraction(self) -> float:
        """How much of the run is over, 0 to 1."""
        return self.limits.fraction(self.step, self.seconds)

    def _resume(self) -> None:
        checkpoint = newest_checkpoint(self.run)
        try:
            progress = json.loads((checkpoint / "training.json").read_text())
            found = {name: progress[name] for name in self._identity()}
            self.step, self.seconds = progress["step"], progress["seconds"]
            missing = self._progress().keys() - progress.keys()
            if missing:
                raise KeyError(*missing)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{checkpoint / 'training.json'}: damaged ({error!r}); fit again with --overwrite"
            ) from error
        for name, wanted in self._identity().items():
            if found[name] != wanted:
                raise ValueError(f"{self.run}: holds a fit with another {name}; give another --run, or --overwrite")
        self._restore(checkpoint, progress)

    def save(self) -> None:
        """Write a checkpoint now."""
        progress = {**self._identity(), "step": self.step, "seconds": self.seconds, **self._progress()}

        def fill(checkpoint: Path) -> None:
            self._fill(checkpoint)
            (checkpoint / "training.json").write_text(json.dumps(progress))

        self._saved_at = self.seconds
        write_checkpoint(self.run, self.step, fill)

    def __iter__(self) -> Iterator[StepReport]:
        """Take steps until the limit, and one at least; checkpoints are written on the way and at the end."""
        while self.fraction < 1 or self.step == 0:
            start = time.perf_counter()
            loss, psnr = self._advance(self.fraction)
            self.step += 1
            self.seconds = self._clock(self.seconds + time.perf_counter() - start)
            report = StepReport(
                step=self.step, seconds=self.seconds, fraction=self.fraction, loss=loss, psnr=psnr, facts=self.facts
            )
            self._log(report)
            if self.fraction >= 1 or self.seconds - self._saved_at >= self._checkpoint_seconds:
                self.save()
            yield report

    def _log(self, report: StepReport) -> None:
        self._recent.append((report.loss, report.psnr))
        if report.step % self._event_steps == 0:
            loss, psnr = (sum(values) / len(values) for values in zip(*self._recent, strict=True))
            self._recent.clear()
            self._events.add(step=report.step, seconds=round(report.seconds, 3), loss=loss, psnr=psnr, **report.facts)
