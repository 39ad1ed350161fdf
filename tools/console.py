"""What the verbs print with, and the cores they use."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """What a user can put right ends the process in one line and exit code 2; with AVATAR_DEBUG set, in a traceback."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("AVATAR_DEBUG"):
            raise
        errors.print(f"avatar: {' '.join(str(error).split())}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("avatar: stopped")
        sys.exit(INTERRUPTED)


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

    Processes of one ``torchrun`` or of one sweep share them.

    Imported here and not above: showing help needs no torch.
    """
    import torch

    from avatar.engine import set_threads

    torch.set_num_threads(1)
    set_threads(max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def usable_cores() -> int:
    """Cores of this machine that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1
