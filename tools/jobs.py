"""Subjects of a sweep as data, and what became of them."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from avatar.atomic import replacing
from avatar.checkpoint import newest_checkpoint
from avatar.render import Device

from ..configs import Recipe
from .protocol import ProtocolName

RESULT = "job.json"  # in the run folder, the last to be written
MAX_JOBS, MAX_BYTES = 100_000, 64 << 20

State = Literal["done", "failed", "stopped", "waiting"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One subject: what ``avatar fit`` and then ``avatar evaluate`` are told. Paths are absolute, as text.

    Attributes:
        name: of the subject, and of its run folder.
        capture, run: folders.
        recipe, split, steps, budget_seconds, device, prior, refine, seed: as ``avatar fit`` has them.
        evaluate: splits to measure; without any, all splits whose names begin with test.
        protocol: a published protocol by which to measure instead.
    """

    name: str
    capture: str
    run: str
    recipe: Recipe = "hybrid"
    split: str | None = None
    steps: int | None = None
    budget_seconds: float | None = None
    device: Device = "cpu"
    prior: str | None = None
    refine: bool = False
    seed: int = 0
    evaluate: tuple[str, ...] = ()
    protocol: ProtocolName | None = None

    def __post_init__(self) -> None:
        if not self.name or self.name != Path(self.name).name or self.name.startswith("."):
            raise ValueError(f"Job.name: expected the name of a folder, got {self.name!r}")

    @property
    def log(self) -> Path:
        """What fit and evaluation print: beside the run folder."""
        run = Path(self.run)
        return run.with_name(f"{run.name}.log")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job.

    Attributes:
        message: why it failed, in one line.
        steps, seconds: of training.
        figures: mean of every metric, by split; of every measure, by part, of a protocol.
    """

    name: str
    state: State
    message: str = ""
    steps: int | None = None
    seconds: float | None = None
    figures: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


def write_result(job: Job, outcome: Outcome) -> None:
    """Note in the run folder that the job is done."""
    with replacing(Path(job.run) / RESULT) as temporary:
        temporary.write_text(json.dumps({"job": asdict(job), "outcome": asdict(outcome)}, indent=1) + "\n")


def read_result(job: Job) -> Outcome | None:
    """What became of exactly this job, or None where it has yet to run, or its fit was taken further since."""
    path = Path(job.run) / RESULT
    try:
        stored = json.loads(path.read_text())
        if stored["job"] != json.loads(json.dumps(asdict(job))):
            return None
        if newest_checkpoint(path.parent).stat().st_mtime > path.stat().st_mtime:
            return None
        return Outcome(**stored["outcome"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # then it runs again


def read_jobs(path: Path, default: Job) -> list[Job]:
    """Jobs of a JSON file: a list of objects with the fields of Job; what one leaves out is as in ``default``.

    Paths are relative to the file. ValueError names the file and the job.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected at most {MAX_BYTES >> 20} MiB of jobs")
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(rows, list) or len(rows) > MAX_JOBS or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of at most {MAX_JOBS} jobs, each an object")
    return [_job_of(row, default, f"{path}: job {index}", path.parent) for index, row in enumerate(rows)]


KINDS = {
    **dict.fromkeys(("name", "capture", "recipe", "device"), (str,)),
    **dict.fromkeys(("split", "prior", "protocol"), (str, type(None))),
    **{"steps": (int, type(None)), "budget_seconds": (int, float, type(None))},
    **{"seed": (int,), "refine": (bool,), "evaluate": (list,)},
}


def _job_of(row: dict[str, Any], default: Job, place: str, folder: Path) -> Job:
    unknown = row.keys() - KINDS.keys()
    if unknown or "capture" not in row:
        raise ValueError(f"{place}: expected capture, and of {', '.join(KINDS)} what differs, got {sorted(row)}")
    for name, value in row.items():
        if not isinstance(value, KINDS[name]) or (isinstance(value, bool) and name != "refine"):
            raise ValueError(f"{place}: {name}: expected {KINDS[name][0].__name__}, got {value!r}")
    choices = {"recipe": get_args(Recipe), "device": get_args(Device), "protocol": (None, *get_args(ProtocolName))}
    for name, expected in choices.items():
        if row.get(name, expected[0]) not in expected:
            raise ValueError(f"{place}: {name}: expected {', '.join(filter(None, expected))}, got {row[name]!r}")
    splits = row.get("evaluate", default.evaluate)
    if not all(isinstance(split, str) for split in splits):
        raise ValueError(f"{place}: evaluate: expected names of splits, got {splits!r}")
    paths = {name: os.path.abspath(folder / row[name]) for name in ("capture", "prior") if row.get(name)}
    name = row.get("name", Path(paths["capture"]).name)
    run = str(Path(default.run) / name)
    try:
        return replace(default, **{**row, **paths, "name": name, "run": run, "evaluate": tuple(splits)})
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def distinct(jobs: list[Job]) -> list[Job]:
    """The same jobs. ValueError for two that share a name, and so a run folder."""
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two subjects are called {twice[0]!r}; name them apart, with a name each in a --jobs file")
    return jobs
