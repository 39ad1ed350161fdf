"""What a sweep tells at its end: one table, on the screen and on disk."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from avatar.atomic import replacing
from avatar.evaluate import METRICS
from avatar.evaluate.report import CARD_METRICS, COLUMNS

from .console import console
from .jobs import Outcome

STYLES = {"done": "green", "failed": "red", "stopped": "yellow", "waiting": "yellow"}


def print_table(outcomes: Sequence[Outcome]) -> None:
    """A row for every subject and split, then the means of every split."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("", "", "split"):
        table.add_column(title, overflow="fold")
    for title in (*(f"{COLUMNS[metric][0]} {COLUMNS[metric][2]}" for metric in CARD_METRICS), "steps", "time"):
        table.add_column(title, justify="right")
    for outcome in outcomes:
        state = Text(outcome.state, STYLES[outcome.state])
        time = "" if outcome.seconds is None else f"{outcome.seconds:.0f} s"
        rows = outcome.figures or {"": {}}
        for index, (split, figures) in enumerate(rows.items()):
            head = (Text(outcome.name), state, split) if index == 0 else ("", "", split)
            tail = (str(outcome.steps or ""), time) if index == 0 else ("", "")
            table.add_row(*head, *(_shown(metric, figures.get(metric)) for metric in CARD_METRICS), *tail)
    table.add_section()
    for split, means in split_means(outcomes).items():
        table.add_row("mean", "", split, *(_shown(metric, means.get(metric)) for metric in CARD_METRICS), "", "")
    console.print(table)
    for outcome in outcomes:
        if outcome.state == "failed":
            console.print(Text(f"{outcome.name}: {outcome.message}", "red"), soft_wrap=True)


def split_means(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """Mean over the subjects, by split and metric; None where no subject has the figure."""
    splits: dict[str, dict[str, None]] = {}
    for outcome in outcomes:
        for split, figures in outcome.figures.items():
            splits[split] = splits.get(split, {}) | dict.fromkeys(figures)
    return {split: {metric: _mean(outcomes, split, metric) for metric in names} for split, names in splits.items()}


def _mean(outcomes: Sequence[Outcome], split: str, metric: str) -> float | None:
    values = [outcome.figures.get(split, {}).get(metric) for outcome in outcomes]
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _shown(metric: str, value: float | None) -> str:
    return "" if value is None else f"{value:.{COLUMNS[metric][1]}f}"


def write_table(folder: Path, outcomes: Sequence[Outcome], partial: Mapping[str, Sequence[str]]) -> Path:
    """Write sweep.json and sweep.csv into ``folder``; returns the path of the latter.

    ``partial`` means lack these subjects of their protocol.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "sweep.json") as temporary:
        rows = {
            "subjects": [asdict(outcome) for outcome in outcomes],
            "means": split_means(outcomes),
            "partial": partial,
        }
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    with replacing(folder / "sweep.csv") as temporary:
        text = StringIO()
        names = dict.fromkeys([*METRICS, *(name for means in split_means(outcomes).values() for name in means)])
        writer = csv.DictWriter(text, ["subject", "state", "split", *names, "steps", "seconds", "message"])
        writer.writeheader()
        writer.writerows(_rows(outcomes))
        temporary.write_text(text.getvalue(), newline="")
    return folder / "sweep.csv"


def _rows(outcomes: Sequence[Outcome]) -> Iterator[dict[str, object]]:
    for outcome in outcomes:
        head = {"subject": outcome.name, "state": outcome.state, "message": outcome.message}
        head |= {"steps": outcome.steps, "seconds": outcome.seconds}
        for split, figures in (outcome.figures or {"": {}}).items():
            yield {**head, "split": split, **figures}
