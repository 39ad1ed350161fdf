"""``avatar sweep``: many captures become avatars, which are measured; one table tells of all."""

import glob
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from tyro.conf import OmitArgPrefixes, Positional

from avatar.render import Device

from ..configs import Recipe
from .console import INTERRUPTED, progress, say
from .executors import Executor, locally, on_ray
from .jobs import Job, Outcome, distinct, read_jobs, read_result
from .protocol import ProtocolName, print_subjects
from .sweep_table import print_table, write_table


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the fits run.

    Attributes:
        executor: local, processes of this machine; ray, with the extra cluster, on all machines of a Ray cluster.
        ray_address: of the cluster, as host:port or auto; without it a cluster of this machine alone is begun.
        cores: of each fit. So many fits run at once as there are cores for; on CUDA, one for each GPU.
    """

    executor: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    cores: int = 1

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise ValueError(f"--cores: expected 1 or more, got {self.cores}")
        if self.ray_address and self.executor != "ray":
            raise ValueError("--ray-address: expected --executor ray")

    @property
    def run(self) -> Executor:
        """What runs the jobs."""
        return locally if self.executor == "local" else partial(on_ray, address=self.ray_address)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is measured of each subject.

    Attributes:
        evaluate: splits to measure; by default all whose names begin with test.
        protocol: fit and measure by this published protocol instead, and print a line for each subject and their mean
            under the published ones.
    """

    evaluate: tuple[str, ...] = ()
    protocol: ProtocolName | None = None

    def __post_init__(self) -> None:
        if self.evaluate and self.protocol:
            raise ValueError("avatar sweep: expected --evaluate or --protocol, got both")


@dataclass(frozen=True, kw_only=True)
class SweepCommand:
    """Fit and evaluate many subjects, each in a process of its own. What fails is named, and stops no other.

    Stopped at any moment, the same command goes on: what is done is skipped, a half-done fit is taken up again. Each
    subject has a run folder and a log beside it; sweep.csv and sweep.json hold the table.

    Examples: avatar sweep hybrid --captures data/a data/b data/c --runs runs/all --budget-seconds 300
    and avatar sweep hybrid --captures 'zju/my_*' --runs runs/zju --protocol zju-A

    Attributes:
        recipe: what to fit, as in ``avatar fit``.
        runs: folder for the run folders, logs and the table.
        captures: folders, or patterns such as data/*.
        jobs: JSON file with a list of subjects, each an object with capture and, where they differ from the command,
            name, recipe, split, steps, budget_seconds, seed, device, prior, refine, evaluate, protocol.
        split: pictures to fit to; by default as in ``avatar fit``, or those of the protocol.
        measured: what is measured.
        budget_seconds: stop each fit after so much training.
        steps: stop each fit after so many steps.
        seed: of everything random.
        device: where: cpu, or cuda with the extra of that name installed.
        prior: run folder of ``avatar meta-learn``, with which fields begin.
        places: where the fits run.
    """

    recipe: Positional[Recipe]
    runs: Path
    captures: tuple[str, ...] = ()
    jobs: Path | None = None
    split: str | None = None
    measured: OmitArgPrefixes[Measured] = field(default_factory=Measured)
    budget_seconds: float | None = None
    steps: int | None = None
    seed: int = 0
    device: Device = "cpu"
    prior: Path | None = None
    places: OmitArgPrefixes[Places] = field(default_factory=Places)


def run(config: SweepCommand) -> None:
    """Run what is not done yet, then write and print the table. Ends with code 1 where a subject failed."""
    jobs = jobs_of(config)
    outcomes = {job.name: read_result(job) or Outcome(name=job.name, state="waiting") for job in jobs}
    waiting = [job for job in jobs if outcomes[job.name].state != "done"]
    if len(waiting) < len(jobs):
        say(f"{len(jobs) - len(waiting)} of {len(jobs)} are done already")
    try:
        _run(waiting, config.places, len(jobs), outcomes)
        was_stopped = any(outcome.state in ("stopped", "waiting") for outcome in outcomes.values())
    except KeyboardInterrupt:
        was_stopped = True
    finished = list(outcomes.values())
    print_table([replace(outcomes[job.name], figures={}) if job.protocol else outcomes[job.name] for job in jobs])
    partial: dict[str, list[str]] = {}
    for protocol in dict.fromkeys(job.protocol for job in jobs if job.protocol):
        done = [job for job in jobs if job.protocol == protocol and outcomes[job.name].state == "done"]
        try:
            partial |= print_subjects(protocol, [Path(job.run) for job in done])
        except ValueError as error:  # such as one subject under two names
            say(f"No table: {error}")
    say(f"Table: {write_table(config.runs, finished, partial)}")
    if was_stopped:
        say("Saved. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    if any(outcome.state == "failed" for outcome in finished):
        sys.exit(1)


def _run(waiting: Sequence[Job], places: Places, count: int, outcomes: dict[str, Outcome]) -> None:
    """Run jobs, and note in ``outcomes`` what becomes of them."""
    logs = {job.name: job.log for job in waiting}
    with progress() as bar:
        task = bar.add_task("sweep", total=count, completed=count - len(waiting), detail="")
        with closing(places.run(waiting, places.cores)) as ended:
            for outcome in ended:
                outcomes[outcome.name] = outcome
                if outcome.state == "failed":
                    say(f"{outcome.name}: failed: {outcome.message}; log: {logs[outcome.name]}")
                bar.update(task, advance=1, detail=f"{outcome.name} {outcome.state}")


def jobs_of(config: SweepCommand) -> list[Job]:
    """The subjects of a command, in its order. ValueError without any, or for two of one name."""
    default = Job(
        name="default",
        capture="",
        run=str(config.runs.absolute()),
        recipe=config.recipe,
        split=config.split,
        steps=config.steps,
        budget_seconds=config.budget_seconds,
        device=config.device,
        prior=str(config.prior.absolute()) if config.prior else None,
        seed=config.seed,
        evaluate=config.measured.evaluate,
        protocol=config.measured.protocol,
    )
    folders = [Path(folder).absolute() for pattern in config.captures for folder in _matching(pattern)]
    jobs = [
        replace(default, name=folder.name, capture=str(folder), run=str(Path(default.run) / folder.name))
        for folder in folders
    ]
    jobs += read_jobs(config.jobs, default) if config.jobs else []
    if not jobs:
        raise ValueError("avatar sweep: expected --captures or --jobs with one subject or more")
    return distinct(jobs)


def _matching(pattern: str) -> list[str]:
    """Folders of a pattern, or the one folder that is named."""
    if not glob.has_magic(pattern):
        return [pattern]
    found = sorted(path for path in glob.glob(pattern) if Path(path).is_dir())
    if not found:
        raise ValueError(f"--captures {pattern}: matches no folder")
    return found
