"""What a run folder holds besides checkpoints, made ready for a fit."""

import shutil
from pathlib import Path

from avatar.runs import RECORD, RunRecord, read_record

# RECORD is the last to be deleted.
OURS = (
    *("events.jsonl", ".events.*", ".fit.*", "evaluation", "report", "job.json"),
    *("checkpoint-*", ".checkpoint-*.tmp", RECORD),
)


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
