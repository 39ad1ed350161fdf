"""Which motion moves an avatar, and what the user is told of one from a file."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from avatar.model import Avatar
from avatar.motion import RetargetReport, read_clip
from avatar.motions import motion_from_clip
from avatar.runs import chosen_motion
from avatar.structs import Capture, Motion

from .console import console


def wanted_motion(
    avatar: Avatar, run: Path, capture: Capture | None, file: Path | None, frame_rate_hz: float | None = None
) -> Motion:
    """The motion in a file, which may lack its frame rate; without a file as ``chosen_motion`` has it."""
    if file is None:
        return chosen_motion(avatar, run, capture)
    motion, report = motion_from_clip(avatar, read_clip(file, frame_rate_hz))
    console.print(table_of(report))
    return motion


def table_of(report: RetargetReport) -> Table:
    """What became of the joints of a motion file."""
    table = Table(box=None, show_header=False, padding=(0, 2), title=escape(report.source), title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for row in report.rows():
        table.add_row(*(escape(cell) for cell in row))
    return table
