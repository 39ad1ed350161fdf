"""Why an avatar is not sharper: found on the split that is evaluated and on the one that it was fitted to."""

from pathlib import Path

from avatar.checkpoint import newest_checkpoint
from avatar.evaluate import Diagnosis, DiagnosisConfig, Findings, PictureCheck, cover, diagnose, sampled
from avatar.evaluate.protocol import RenderFrame
from avatar.model import Avatar
from avatar.runs import is_own, read_record
from avatar.structs import Capture

from .console import progress, say

PREFIX = "diagnosis_"  # of the files in a run's folder evaluation; the name of the split follows


def diagnose_splits(run: Path, avatar: Avatar, capture: Capture, split: str, view: RenderFrame) -> None:
    """Look at ``split``, and at the training split unless that was done, and keep what was found in the run folder."""
    _diagnose(run, avatar, capture, split, view)
    training = _training_split(run, capture)
    if training is None or training == split or _is_current(run, training):
        return
    try:
        _diagnose(run, avatar, capture, training, view)
    except FileNotFoundError as error:
        say(f"No diagnosis of the training pictures: {error}")


def stored_findings(run: Path, avatar: Avatar, capture: Capture) -> list[Findings]:
    """What was found of the newest checkpoint, the training split first."""
    training = _training_split(run, capture)
    names = sorted((name for name in capture.splits if _is_current(run, name)), key=lambda name: name != training)
    return [_findings(Diagnosis.read(_path(run, name)), avatar, capture, name == training) for name in names]


def _diagnose(run: Path, avatar: Avatar, capture: Capture, name: str, view: RenderFrame) -> None:
    part = sampled(capture.split(name), DiagnosisConfig())
    with progress() as bar:
        task = bar.add_task(f"diagnose {name}", total=len(part), detail="")

        def show(check: PictureCheck) -> None:
            bar.update(task, advance=1, detail=check.camera)

        diagnosis = diagnose(capture, part, avatar, view, show, is_own(run, capture))
    _findings(diagnosis, avatar, capture, name == _training_split(run, capture)).write(_path(run, name))


def _findings(diagnosis: Diagnosis, avatar: Avatar, capture: Capture, with_coverage: bool) -> Findings:
    """Coverage is a matter of the training pictures: what they show no other need show."""
    part = sampled(capture.split(diagnosis.split), DiagnosisConfig())
    return Findings.of(diagnosis, cover(avatar, capture, part) if with_coverage else None)


def _training_split(run: Path, capture: Capture) -> str | None:
    """The split that a run was fitted to, if this is its capture."""
    record = read_record(run)
    return record.split if record and record.capture == capture.name and record.split in capture.splits else None


def _path(run: Path, name: str) -> Path:
    return run / "evaluation" / f"{PREFIX}{name}.json"


def _is_current(run: Path, name: str) -> bool:
    """Whether a diagnosis of the newest checkpoint is there."""
    path = _path(run, name)
    return path.is_file() and path.stat().st_mtime >= newest_checkpoint(run).stat().st_mtime
