"""An avatar judged by a published protocol, under the published table."""

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
    parts_of,
    rows_of,
)
from avatar.runs import read_record
from avatar.structs import Capture, Frame

from .console import console, progress, say

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
    protocol, method = PROTOCOLS[name], _method(run, name)
    reports = [_judged(protocol, capture, part, view) for part in parts_of(protocol, capture) if part != "train"]
    for report in reports:
        report.write(run / "protocols" / f"{name}_{report.part}.json")
        published = rows_of(PUBLISHED, name, report.part)
        print_lines(protocol, report.part, compared(protocol, published, [report], method))
    return reports


def _method(run: Path, name: str) -> str:
    """What our line is called: a fit to other pictures than the protocol's says so."""
    record = read_record(run)
    fitted = record.split if record else "unknown pictures"
    if fitted in PROTOCOLS and fitted != name:
        raise ValueError(f"{run}: was fitted to the pictures of {fitted}; its figures do not compare with {name}'s")
    if fitted == name:
        return "avatar"
    say(f"{run}: not fitted to the pictures of {name}; to compare, fit with --split {name}")
    return f"avatar (fitted to {fitted})"


def print_lines(protocol: Protocol, part: str, lines: list[Line]) -> None:
    """The table of one part, with what a reader must know to compare."""
    names = [measure.name for measure in protocol.measures]
    table = Table("method", "over", *names, title=f"{protocol.name} {part}: {protocol.about}", title_justify="left")
    for line in lines:
        over = line.subjects[0] if len(line.subjects) == 1 else f"{len(line.subjects)} subjects"
        table.add_row(line.method, over, *(_cell(line, name) for name in names))
    console.print(table)
    if any(line.unconfirmed for line in lines):
        say("* not confirmed by a primary source")
    say("PSNR in dB; LPIPS times 1000.")
    for note in protocol.notes:
        say(note)


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
