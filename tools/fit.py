"""``avatar fit``: a capture becomes an avatar."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from avatar.captures import open_capture
from avatar.checkpoint import load_field
from avatar.render import Device
from avatar.train import HybridFit, Limits

from ..configs import Recipe, make_recipe
from .console import INTERRUPTED, say
from .device import use_device
from .runs import RunRecord, open_run
from .training import train

TRAINING_SPLITS = ("train_dense", "train")


@dataclass(frozen=True, kw_only=True)
class FitCommand:
    """Fit an avatar to the pictures of a capture.

    Stopped at any moment, the same command takes it up again. Ctrl-C saves first.

    Example: avatar fit hybrid --capture data/samples/dancer --run runs/dancer --budget-seconds 60

    Attributes:
        recipe: what to fit: hybrid, Gaussians bound to the body's triangles.
        capture: folder of the capture.
        run: folder for checkpoints, events and the report.
        split: pictures to fit to; by default train_dense, or train where the capture has no such split.
        budget_seconds: stop after so much training, or earlier where more would only over-fit one camera.
        steps: stop after so many steps; by default 4000 where no budget is given.
        device: where: cpu, or cuda with the extra of that name installed.
        from_field: run folder of a radiance field of the person, on whose surface, in whose colours Gaussians begin.
        refine: also learn small corrections of cameras and exposure; for filmed captures with two cameras or more.
        seed: of everything random.
        overwrite: delete the fit that the run folder holds, and begin anew.
    """

    recipe: Positional[Recipe]
    capture: Path
    run: Path
    split: str | None = None
    budget_seconds: float | None = None
    steps: int | None = None
    device: Device = "cpu"
    from_field: Path | None = None
    refine: FlagCreatePairsOff[bool] = False
    seed: int = 0
    overwrite: FlagCreatePairsOff[bool] = False

    @property
    def limits(self) -> Limits:
        """When to stop."""
        if self.steps is None and self.budget_seconds is None:
            return Limits()
        return Limits(steps=self.steps, budget_seconds=self.budget_seconds)


def run(config: FitCommand) -> None:
    """Fit until the limit or Ctrl-C."""
    use_device(config.device)
    limits, recipe = config.limits, make_recipe(config.recipe, config.seed, config.refine)
    capture = open_capture(config.capture)
    split = config.split or next((name for name in TRAINING_SPLITS if name in capture.splits), TRAINING_SPLITS[0])
    capture = open_capture(config.capture, split)
    record = RunRecord(
        recipe=config.recipe, seed=config.seed, capture=capture.name, split=split, frame_rate_hz=capture.frame_rate_hz
    )
    open_run(config.run, record, config.overwrite)
    source = load_field(config.from_field) if config.from_field else None
    fit = HybridFit(capture, capture.split(split), config.run, recipe, limits, config.device, source)
    if fit.fraction >= 1:
        say(f"{config.run}: already finished; fit longer with --steps or --budget-seconds, or anew with --overwrite")
    elif fit.step:
        say(f"{config.run}: goes on from step {fit.step}, {fit.seconds:.0f} s")
    train(fit)
    say(f"{config.run}: {fit.avatar.canonical.num_gaussians:,} Gaussians, {fit.step} steps, {fit.seconds:.0f} s")
    if fit.fraction < 1:
        say("Saved. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    tests = [name for name in capture.splits if name.startswith("test")]
    say(f"Next: avatar evaluate --run {config.run} --capture {config.capture} --split {(tests or [split])[0]}")
