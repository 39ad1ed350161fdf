"""The steps of a fit, shown as they happen, and ended between two of them by Ctrl-C."""

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from avatar.train import Run, StepReport
from avatar.train.meta import ALONE, Ranks

from .console import progress

PARTS = 10_000  # of the progress bar
SMOOTHING = 0.05  # share of the latest step in the PSNR shown


def train(fit: Run, ranks: Ranks = ALONE) -> None:
    """Take steps until the limit or Ctrl-C, after which the run is saved; the first of several processes shows them."""
    psnr = math.nan
    with progress(ranks.index == 0) as bar, interrupt_noted(ranks) as interrupted:
        task = bar.add_task("fit", total=PARTS, completed=int(PARTS * fit.fraction), detail="")
        for report in fit:
            psnr = report.psnr if math.isnan(psnr) else psnr + SMOOTHING * (report.psnr - psnr)
            detail = f"{psnr:.2f} dB, {facts_of(report)}"
            bar.update(task, completed=PARTS * report.fraction, detail=detail)
            if ranks.any(interrupted.is_set()):
                fit.save()
                break


def facts_of(report: StepReport) -> str:
    """Its counts, as ``27,000 gaussians``."""
    return ", ".join(f"{count:,} {name.removeprefix('num_').replace('_', ' ')}" for name, count in report.facts.items())


@contextmanager
def interrupt_noted(ranks: Ranks = ALONE) -> Iterator[Event]:
    """Set by the first Ctrl-C, so that a step is never cut in two; the second stops at once.

    Of several processes none stops before the others: ``torchrun`` passes on what the terminal has sent them already.
    """
    interrupted = Event()

    def note(signal_number: int, stack: FrameType | None) -> None:
        interrupted.set()
        if ranks.count == 1:
            signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
