"""What a run folder holds besides checkpoints: which fit it is, and what the tools made of it."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from avatar.atomic import replacing
from avatar.structs import Capture

RECORD = "fit.json"  # the last of OURS to be deleted
OURS = ("events.jsonl", ".events.*", ".fit.*", "evaluation", "report", "checkpoint-*", ".checkpoint-*.tmp", RECORD)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Which fit a run folder holds.

    Attributes:
        recipe, seed: what was fitted, and from which random start.
        capture, split: names of the pictures it was fitted to.
        frame_rate_hz: time steps a second of the capture.
    """

    recipe: str
    seed: int
    capture: str
    split: str
    frame_rate_hz: float

    def write(self, run: Path) -> None:
        """Write it into the run folder."""
        with replacing(run / RECORD) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_record(run: Path) -> RunRecord | None:
    """The record of a run folder, or None for a lone checkpoint. ValueError names a broken one."""
    path = run / RECORD
    if not path.is_file():
        return None
    try:
        return RunRecord(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not the record of a run ({error}); fit again with --overwrite") from error


def is_own(run: Path, capture: Capture) -> bool:
    """Whether this is the capture that the run was fitted to, whose single frames it knows."""
    record = read_record(run)
    return record is None or record.capture == capture.name


def open_run(run: Path, record: RunRecord, overwrite: bool) -> None:
    """Make ``run`` ready for a fit: new, or the same fit to go on with, or emptied of another one.

    Only what a run writes is ever deleted. Raises ValueError where the folder holds another fit, or is not a run.
    """
    found = None if overwrite else read_record(run)
    finished = [path for path in run.glob("*") if not path.name.startswith(".")]  # dotted: left by a kill
    if run.is_file() or (finished and not (run / RECORD).is_file()):
        raise ValueError(f"{run}: not empty and not a run folder; choose another --run")
    if found and found != record:
        raise ValueError(f"{run}: holds {_named(found)}, not {_named(record)}; give another --run, or --overwrite")
    if overwrite:
        _clear(run)
    record.write(run)


def _clear(run: Path) -> None:
    for path in [path for pattern in OURS for path in run.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _named(record: RunRecord) -> str:
    return f"a fit of {record.recipe} to {record.capture}/{record.split} with seed {record.seed}"
