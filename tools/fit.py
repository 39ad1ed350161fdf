"""``avatar fit``: a capture becomes an avatar."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from avatar.captures import open_capture
from avatar.checkpoint import load_field
from avatar.evaluate.protocols import PROTOCOLS
from avatar.model import FieldAvatar
from avatar.render import Device
from avatar.runs import RunRecord
from avatar.structs import Capture, Split
from avatar.train import FieldFit, FieldFitConfig, HybridFit, HybridFitConfig, Limits

from ..configs import Recipe, make_recipe
from .console import INTERRUPTED, say
from .device import use_device
from .protocol import with_training
from .runs import open_run
from .sources import with_part
from .training import train

TRAINING_SPLITS = ("train_dense", "train")


@dataclass(frozen=True, kw_only=True)
class FitCommand:
    """Fit an avatar to the pictures of a capture.

    Stopped at any moment, the same command takes it up again. Ctrl-C saves first.

    Example: avatar fit hybrid --capture data/samples/dancer --run runs/dancer --budget-seconds 60
    and avatar fit field --prior runs/prior --capture data/c --run runs/c12 --split train_sparse2 --frames 12

    Attributes:
        recipe: what to fit: hybrid, Gaussians bound to the body's triangles; field, a radiance field around the body,
            for one to four cameras with --prior; dual-space, such a field with a light of its own, for many frames.
        capture: folder of the capture.
        run: folder for checkpoints, events and the report.
        split: pictures to fit to; by default train_dense, or train where the capture has no such split. The name of a
            published protocol, zju-A, means those that it trains on.
        frames: of other time steps instead, from:to without the last, or a single one; all see the same cameras.
        budget_seconds: stop after so much training, or earlier where more would only over-fit one camera.
        steps: stop after so many steps; by default 4000, of a field 1500, where no budget is given.
        device: where: cpu, or cuda with the extra of that name installed.
        prior: run folder of ``avatar meta-learn``, with which a field begins.
        from_field: run folder of a radiance field of the person, on whose surface, in whose colours Gaussians begin.
        refine: also learn small corrections of cameras and exposure; for filmed captures with two cameras or more.
        seed: of everything random.
        overwrite: delete the fit that the run folder holds, and begin anew.
    """

    recipe: Positional[Recipe]
    capture: Path
    run: Path
    split: str | None = None
    frames: str | None = None
    budget_seconds: float | None = None
    steps: int | None = None
    device: Device = "cpu"
    prior: Path | None = None
    from_field: Path | None = None
    refine: FlagCreatePairsOff[bool] = False
    seed: int = 0
    overwrite: FlagCreatePairsOff[bool] = False

    @property
    def limits(self) -> Limits:
        """When to stop."""
        if self.steps is None and self.budget_seconds is None:
            return Limits(steps=1500) if self.recipe == "field" else Limits()
        return Limits(steps=self.steps, budget_seconds=self.budget_seconds)


def run(config: FitCommand) -> None:
    """Fit until the limit or Ctrl-C."""
    use_device(config.device)
    capture = open_capture(config.capture)
    split = config.split or next((name for name in TRAINING_SPLITS if name in capture.splits), TRAINING_SPLITS[0])
    capture = with_training(capture, split) if split in PROTOCOLS else open_capture(config.capture, split)
    capture, part = with_part(capture, split, config.frames, None)
    cameras = len(capture.split(part).camera_ids) if config.prior else None
    recipe = make_recipe(config.recipe, config.seed, config.refine, cameras)
    record = RunRecord(
        recipe=config.recipe,
        seed=config.seed,
        capture=capture.name,
        split=part,
        frame_rate_hz=capture.frame_rate_hz,
        capture_folder=str(config.capture.resolve()),
    )
    begins_with = _field_of(config)
    limits = config.limits
    open_run(config.run, record, config.overwrite)
    fit = _open(config, recipe, capture, capture.split(part), limits, begins_with)
    if fit.fraction >= 1:
        say(f"{config.run}: already finished; fit longer with --steps or --budget-seconds, or anew with --overwrite")
    elif fit.step:
        say(f"{config.run}: goes on from step {fit.step}, {fit.seconds:.0f} s")
    train(fit)
    say(f"{config.run}: {fit.step} steps, {fit.seconds:.0f} s")
    if fit.fraction < 1:
        say("Saved. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    tests = [name for name in capture.splits if name.startswith("test")]
    moment = f" --frames {config.frames}" if config.frames else ""
    say(f"Next: avatar evaluate --run {config.run} --capture {config.capture} --split {(tests or [split])[0]}{moment}")


def _field_of(config: FitCommand) -> FieldAvatar | None:
    """What the fit begins with, or None; before anything is deleted."""
    if config.from_field and config.recipe != "hybrid":
        raise ValueError(f"--from-field: expected the recipe hybrid, got {config.recipe}")
    found = config.from_field or config.prior
    return load_field(found) if found else None


def _open(
    config: FitCommand,
    recipe: HybridFitConfig | FieldFitConfig,
    capture: Capture,
    split: Split,
    limits: Limits,
    begins_with: FieldAvatar | None,
) -> HybridFit | FieldFit:
    match recipe:
        case HybridFitConfig():
            return HybridFit(capture, split, config.run, recipe, limits, config.device, begins_with)
        case FieldFitConfig():
            recipe = replace(recipe, avatar=begins_with.config) if begins_with else recipe
            return FieldFit(capture, split, config.run, recipe, limits, config.device, begins_with)
