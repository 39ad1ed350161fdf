"""``avatar meta-learn``: captures become a prior, from which fits of few cameras begin."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

from avatar.captures import open_capture
from avatar.render import Device
from avatar.runs import RunRecord
from avatar.train import Limits
from avatar.train.meta import FieldMetaFit, Ranks, joined_ranks

from ..configs.field_prior import InnerRatesName, MethodName, field_prior
from .console import INTERRUPTED, say
from .device import use_device
from .runs import open_run
from .training import train


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    """How the prior learns.

    Attributes:
        method: reptile, or first-order maml, which holds every fourth camera out.
        tasks_per_step: whose mean moves the prior; at least one for each process.
        inner_steps: on each task.
        inner_rates: step sizes of these: fit, those of a fit; or one of the two readings of MetaCap's.
        seed: of everything random.
    """

    method: MethodName = "reptile"
    tasks_per_step: int = 1
    inner_steps: int = 24
    inner_rates: InnerRatesName = "fit"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class MetaLearnCommand:
    """Learn a prior from captures with many cameras: the field from which one to four cameras are enough.

    Every frame is a task: inner steps fit the field to it, and the prior moves towards what came of that. Captures of
    several persons make one prior for all of them; their skeletons must be the same. Stopped at any moment, the same
    command takes it up again. Ctrl-C saves first.

    Example: avatar meta-learn field --captures data/a data/b --run runs/prior --budget-seconds 600

    Several processes share the tasks of a step:
    torchrun --standalone --nproc_per_node 2 --no-python -- avatar meta-learn field ... --tasks-per-step 2

    Then: avatar fit field --prior runs/prior --capture data/c --run runs/c --split train_sparse4

    Attributes:
        recipe: what to learn: field, a radiance field in the canonical pose.
        captures: folders of one or more captures.
        run: folder for checkpoints and events, the prior.
        split: pictures to learn from, in every capture.
        budget_seconds: stop after so much training.
        steps: stop after so many outer steps; by default 1000 where no budget is given.
        learning: how.
        device: where: cpu, or cuda with the extra of that name installed.
        overwrite: delete the prior that the run folder holds, and begin anew.
    """

    recipe: Positional[Literal["field"]]
    captures: tuple[Path, ...]
    run: Path
    split: str = "train_dense"
    budget_seconds: float | None = None
    steps: int | None = None
    learning: OmitArgPrefixes[LearningOptions] = field(default_factory=LearningOptions)
    device: Device = "cpu"
    overwrite: FlagCreatePairsOff[bool] = False

    @property
    def limits(self) -> Limits:
        """When to stop."""
        if self.steps is None and self.budget_seconds is None:
            return Limits(steps=1000)
        return Limits(steps=self.steps, budget_seconds=self.budget_seconds)


def run(config: MetaLearnCommand) -> None:
    """Learn until the limit or Ctrl-C."""
    use_device(config.device)
    with joined_ranks(config.device) as ranks:
        fit = _open(config, ranks)
        if ranks.index:
            train(fit, ranks)
            return
        if fit.fraction >= 1:
            say(f"{config.run}: already finished; learn longer with --steps or --budget-seconds, or with --overwrite")
        elif fit.step:
            say(f"{config.run}: goes on from step {fit.step}, {fit.seconds:.0f} s")
        train(fit, ranks)
    say(f"{config.run}: a prior from {len(fit.tasks)} frames, {fit.step} steps, {fit.seconds:.0f} s")
    if fit.fraction < 1:
        say("Saved. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    say(f"Next: avatar fit field --prior {config.run} --capture {config.captures[0]} --run ... --split train_sparse4")


def _open(config: MetaLearnCommand, ranks: Ranks) -> FieldMetaFit:
    if not config.captures:
        raise ValueError("--captures: expected one folder or more")
    how = config.learning
    recipe = field_prior(how.method, how.inner_rates, how.inner_steps, how.tasks_per_step, how.seed)
    captures = [open_capture(folder, config.split) for folder in config.captures]
    names = "+".join(capture.name for capture in captures)
    record = RunRecord(
        recipe=f"{config.recipe} prior",
        seed=how.seed,
        capture=names,
        split=config.split,
        frame_rate_hz=captures[0].frame_rate_hz,
    )
    is_open = False
    try:
        if ranks.index == 0:
            open_run(config.run, record, config.overwrite)
        is_open = True
    finally:  # the others wait for the first, whose message is enough
        if ranks.any(not is_open) and ranks.index:
            sys.exit(2)
    pairs = [(capture, capture.split(config.split)) for capture in captures]
    return FieldMetaFit(pairs, config.run, recipe, config.limits, config.device, ranks)
