"""What the verbs print with, and the cores they use."""

import logging
import os

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console()
errors = Console(stderr=True)

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


def say(text: str) -> None:
    """Print a line as it is, so that commands and paths in it can be copied."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def log_to(logger: logging.Logger) -> None:
    """Show the library's warnings above any progress bar; once, however often it is called."""
    if not logger.handlers:
        logger.addHandler(RichHandler(console=errors, show_time=False, show_path=False, show_level=False))


def progress(is_shown: bool = True) -> Progress:
    """A bar with time gone and left; every task has a field ``detail`` that stands beside it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        expand=True,
        refresh_per_second=4,
        disable=not is_shown,
    )


def use_all_cores() -> None:
    """One thread for torch, whose small operators lose more by waking a second than they gain; the rest for the engine.

    Processes of one ``torchrun`` share them.

    Imported here and not above: showing help needs no torch.
    """
    import torch

    from avatar.engine import set_threads

    torch.set_num_threads(1)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    set_threads(max(1, (usable or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
