"""How much memory a function takes, where Linux can tell."""

import multiprocessing
import resource
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

SECONDS = 60


def extra_memory_mb(function: Callable[[], object]) -> float | None:
    """Peak of resident memory that one run adds, its lasting buffers included; None where it cannot be measured.

    A forked child runs it, so that what runs left behind in this process is not counted to it, nor what it leaves.
    """
    if not sys.platform.startswith("linux"):
        return None
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_report, args=(function, there), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: the engine's pool allows it
        child.start()
    there.close()
    try:
        return here.recv() if here.poll(SECONDS) else None
    except EOFError:  # it cannot run in a fork
        return None
    finally:
        child.kill()
        child.join()


def peak_memory_mb() -> float:
    """Peak of this process's resident memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _report(function: Callable[[], object], out: Connection) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status_kb("VmHWM")
    function()
    out.send(round((_status_kb("VmHWM") - before) / 1024, 1))


def _status_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
