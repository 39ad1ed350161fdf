"""The run folders that the viewer shows. A request chooses among those that a listing found; it makes no path."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from avatar.checkpoint import newest_checkpoint
from avatar.evaluate.protocol import METRICS, Report
from avatar.runs import RECORD, RunRecord, read_record

from .contract import Metrics, RunInfo
from .events import Diary, Row

FITTING_SECONDS = 30.0
MOST_RUNS = 1000
NEW = "the fit has saved nothing yet; open it again in a minute"
FIELD = "is a radiance field, which browsers cannot draw; make Gaussians: avatar fit hybrid --from-field"


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """One run: its name in the viewer, and its folder, which is no link."""

    name: str
    path: Path

    def checked(self) -> "RunFolder":
        """Itself; FileNotFoundError where a file that is read by its name is a link out of the folder."""
        for name in (RECORD, "events.jsonl", "evaluation"):
            self._inside(self.path / name)
        return self

    def checkpoint(self) -> Path:
        """The newest complete checkpoint, or the folder where it is one itself. FileNotFoundError without."""
        folder = self.path if (self.path / "config.json").is_file() else newest_checkpoint(self.path)
        for name in ("config.json", "avatar.safetensors"):
            self._inside(folder / name)
        return folder

    def record(self) -> RunRecord | None:
        """What was fitted, or None for a lone checkpoint. ValueError names a broken record."""
        return read_record(self.path)

    def diary(self) -> Diary:
        """The rows that the fit writes, from the first on."""
        return Diary(path=self.path / "events.jsonl")

    def events(self) -> list[Row]:
        """All rows that the fit has written."""
        return self.diary().read()[0]

    def info(self) -> RunInfo:
        """What a list of runs shows; a damaged run has a ``problem``."""
        about = RunInfo(name=self.name, is_fitting=self._is_fitting())
        try:
            record = self.checked().record()
            if record:
                about = replace(about, recipe=record.recipe, capture=record.capture, split=record.split)
            checkpoint = self.checkpoint()
            kind, count = _looked_at(checkpoint)
        except (ValueError, OSError) as error:
            is_new = about.is_fitting and isinstance(error, FileNotFoundError)
            return replace(about, problem=NEW if is_new else _line(error))
        problem = f"{self.name} {FIELD} {self.path}" if kind == "field" else None
        return replace(about, kind=kind, problem=problem, num_gaussians=count, step=step_of(checkpoint))

    def metrics(self) -> list[Metrics]:
        """What evaluations of the newest checkpoint have found; files that are no reports are left out."""
        try:
            since = self.checkpoint().stat().st_mtime
        except FileNotFoundError:
            return []
        found = []
        for path in sorted(self.path.glob("evaluation/*.json")):
            try:
                if self._inside(path).stat().st_mtime >= since:
                    found.append(_means(Report.read(path)))
            except (ValueError, OSError, RecursionError):
                continue
        return found

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.path):
            raise FileNotFoundError(f"{path}: leads outside the run's folder; copy the file into it")
        return path

    def _is_fitting(self) -> bool:
        """Whether a fit has begun or written lately."""
        written = [path.stat().st_mtime for name in (RECORD, "events.jsonl") if (path := self.path / name).is_file()]
        return time.time() - max(written, default=0.0) < FITTING_SECONDS


class RunFolders:
    """One run, or those in a folder; listed anew at every request, as fits come and go."""

    def __init__(self, run: Path | None, runs: Path | None) -> None:
        """FileNotFoundError for a folder that is not there."""
        for folder in (run, runs):
            if folder is not None and not folder.is_dir():
                raise FileNotFoundError(f"{folder}: no such folder; give that of a fit")
        self._run, self._runs = (folder and folder.resolve() for folder in (run, runs))

    def all(self) -> list[RunFolder]:
        """By name; the run that was asked for first. Links and names that cannot be printed are left out."""
        folders = [path for path in sorted(self._runs.iterdir()) if _is_run(path)] if self._runs else []
        folders = ([self._run] if self._run else []) + [path for path in folders if path != self._run]
        named = {path.name or "run": path for path in reversed(folders[:MOST_RUNS])}
        return [RunFolder(name=name, path=path) for name, path in reversed(named.items())]

    def find(self, name: str) -> RunFolder:
        """The run of this name; FileNotFoundError without."""
        for run in self.all():
            if run.name == name:
                return run.checked()
        raise FileNotFoundError("no such run; see the list of runs")


def step_of(checkpoint: Path) -> int:
    """How many steps were taken before a checkpoint; 0 for one that does not say."""
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdecimal() and len(number) < 16 else 0


def _is_run(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir() or not path.name.isprintable() or path.name.startswith("."):
        return False
    names = (RECORD, "config.json", "events.jsonl")
    return any((path / name).is_file() for name in names) or any(path.glob("checkpoint-*"))


def _looked_at(checkpoint: Path) -> tuple[Literal["hybrid", "field"], int]:
    """What an avatar is made of and how many Gaussians it has, without reading them."""
    path = checkpoint / "config.json"
    try:
        kind = json.loads(path.read_text())["config"]["kind"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not an avatar's config ({error}); fit again") from error
    if kind != "HybridAvatarConfig":
        return "field", 0
    try:
        with safe_open(checkpoint / "avatar.safetensors", framework="pt") as file:
            return "hybrid", file.get_slice("canonical.quats").get_shape()[0]
    except (SafetensorError, IndexError) as error:
        raise ValueError(f"{checkpoint}: avatar.safetensors is damaged ({error}); fit again") from error


def _means(report: Report) -> Metrics:
    means = {name: report.mean(name) for name in METRICS}
    return Metrics(split=report.split, subject=report.subject, num_images=len(report.images), means=means)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
