"""An avatar judged by a published protocol, under the published table."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from avatar.body import load_body
from avatar.capture import PictureConfig
from avatar.evaluate.protocol import RenderFrame
from avatar.evaluate.protocols import (
    PROTOCOLS,
    PUBLISHED,
    Line,
    Protocol,
    ProtocolImage,
    ProtocolReport,
    compared,
    judge,
    missing,
    parts_of,
    rows_of,
)
from avatar.runs import read_record
from avatar.structs import Capture, Frame

from .console import console, progress, say

OURS = "avatar"
ProtocolName = Literal[
    "zju-A",
    "zju-B",
    "zju-C",
    "zju-D",
    "zju-E",
    "wilddynacap",
    "wilddynacap-outside",
    "spare-3",
    "spare-9",
]


def pictures_of(name: ProtocolName) -> PictureConfig:
    """How a capture is opened for a protocol."""
    return PictureConfig(keep_background=True, mask_folders=PROTOCOLS[name].picture.mask_folders)


def with_training(capture: Capture, name: str) -> Capture:
    """The capture with a split called after the protocol ``name``: its pictures to fit to."""
    train = replace(parts_of(PROTOCOLS[name], capture)["train"], name=name)
    return replace(capture, splits={**capture.splits, name: train})


def judge_run(run: Path, name: ProtocolName, capture: Capture, view: RenderFrame) -> list[ProtocolReport]:
    """The figures of every tested part, printed under the published ones and kept in the run's folder ``protocols``.

    ValueError for a run fitted to the pictures of another protocol, and as ``judge``.
    """
    protocol, method = PROTOCOLS[name], method_of(run, name)
    if method != OURS:
        say(f"{run}: not fitted to the pictures of {name}; to compare, fit with --split {name}")
    reports = [_judged(protocol, capture, part, view) for part in parts_of(protocol, capture) if part != "train"]
    for report in reports:
        report.write(run / "protocols" / f"{name}_{report.part}.json")
        published = rows_of(PUBLISHED, name, report.part)
        print_lines(protocol, report.part, compared(protocol, published, [report], method))
    return reports


def method_of(run: Path, name: str) -> str:
    """What our line is called: a fit to other pictures than the protocol's says so.

    ValueError for a run fitted to the pictures of another protocol.
    """
    record = read_record(run)
    fitted = record.split if record else "unknown pictures"
    if fitted in PROTOCOLS and fitted != name:
        raise ValueError(f"{run}: was fitted to the pictures of {fitted}; its figures do not compare with {name}'s")
    return OURS if fitted == name else f"{OURS} (fitted to {fitted})"


def reports_of(run: Path, name: str) -> list[ProtocolReport]:
    """The figures that a run's folder keeps of a protocol, one of each part."""
    return [ProtocolReport.read(path) for path in sorted((run / "protocols").glob(f"{name}_*.json"))]


def print_subjects(name: str, runs: Iterable[Path]) -> dict[str, list[str]]:
    """The table of each part over the subjects of several runs, as papers have it: a line each, then the mean.

    A mean that lacks subjects of the protocol is called partial. Returns the parts whose mean is, and what it lacks.
    """
    partial: dict[str, list[str]] = {}
    protocol, found = PROTOCOLS[name], [(run, report) for run in runs for report in reports_of(run, name)]
    for part in dict.fromkeys(report.part for _, report in found):
        reports = [report for _, report in found if report.part == part]
        methods = {method_of(run, name) for run, report in found if report.part == part}
        method = methods.pop() if len(methods) == 1 else f"{OURS} (fitted to several parts)"
        print_lines(protocol, part, compared(protocol, rows_of(PUBLISHED, name, part), reports, method))
        if lacking := missing(protocol, [report.subject for report in reports]):
            what = "a partial mean" if len(reports) > 1 else "no mean"
            over = f"over {len(reports)} of {len(protocol.subjects)} subjects"
            say(f"{name} {part}: {what}, {over}; without {', '.join(lacking)}")
            partial[f"{name} {part}"] = lacking
    return partial


def print_lines(protocol: Protocol, part: str, lines: list[Line]) -> None:
    """The table of one part, with what a reader must know to compare."""
    names = [measure.name for measure in protocol.measures]
    table = Table("method", "over", *names, title=f"{protocol.name} {part}: {protocol.about}", title_justify="left")
    for before, line in zip([None, *lines], lines, strict=False):
        if before and before.source and not line.source:
            table.add_section()
        table.add_row(line.method, _over(protocol, line), *(_cell(line, name) for name in names))
    console.print(table)
    if any(line.unconfirmed for line in lines):
        say("* not confirmed by a primary source")
    say("PSNR in dB; LPIPS times 1000.")
    for note in protocol.notes:
        say(note)


def _over(protocol: Protocol, line: Line) -> str:
    count, lacking = len(line.subjects), missing(protocol, line.subjects)
    if count == 1:
        return line.subjects[0]
    return f"{count} of {len(protocol.subjects)} subjects" if lacking else f"{count} subjects"


def _cell(line: Line, name: str) -> str:
    value = line.figures[name]
    if value is None:
        return "-"
    return f"{value:.{3 if name.startswith('ssim') else 2}f}" + "*" * (name in line.unconfirmed)


def _judged(protocol: Protocol, capture: Capture, part: str, view: RenderFrame) -> ProtocolReport:
    body = load_body(capture.rig).shaped(capture.shape)

    def vertices_of(frame: Frame) -> Float[Tensor, "v 3"]:
        return body.posed(frame.pose).vertices_world

    with progress() as bar:
        total = len(parts_of(protocol, capture)[part])
        task = bar.add_task(f"{protocol.name} {part}", total=total, detail="")
        first = protocol.measures[0].name

        def show(image: ProtocolImage) -> None:
            bar.update(task, advance=1, detail=f"{image.figures[first] or 0:.2f} dB")

        return judge(protocol, capture, part, view, vertices_of, show)
