"""What timings depend on."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import torch

from avatar.engine import compiled_variant


def describe_machine() -> dict[str, object]:
    """Date, commit of this source (empty where there is none), processor, cores, instruction set, torch, and load."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout if shutil.which("git") else ""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.strip(),
        "processor": _processor(),
        "cores": usable_cores(),
        "variant": compiled_variant(),
        "torch": torch.__version__,
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
