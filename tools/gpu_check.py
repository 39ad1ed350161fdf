"""Check the CUDA backends on this machine: build what is missing, run the tests marked ``cuda``, time the kernels.

    make gpu-check          # writes runs/gpu_check/report.md and report.json

Compiling gsplat takes minutes, once; TORCH_CUDA_ARCH_LIST and MAX_JOBS are respected. Ends with 0 only if the packages
of the extra ``cuda`` are ready and every test has passed.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import torch
import tyro

from avatar.engine.cuda import Extra, extra

from .benches.case import Case
from .benches.cuda import parts
from .benches.machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
REQUIRED, WARM_UP, ROUNDS = ("gsplat", "nerfacc"), 3, 30
Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class GpuCheck:
    """Where the report goes: a folder."""

    out: Path = Path("runs/gpu_check")


def main() -> None:
    """Check, print and write the report; ends in SystemExit."""
    out = tyro.cli(GpuCheck).out
    if not torch.cuda.is_available():
        print(f"gpu-check: torch {torch.__version__} finds no CUDA device: nothing was checked")
        sys.exit(2)
    out.mkdir(parents=True, exist_ok=True)
    major, minor = torch.cuda.get_device_capability()
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", f"{major}.{minor}")
    packages = [_ready(name) for name in get_args(Extra)]
    tests = _run_tests(out / "tests.xml")
    timings, left_out = _timings()
    report = {"machine": _machine(), "packages": packages, "tests": tests, "timings": timings, "left_out": left_out}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(_as_markdown(report), encoding="utf-8")
    print(f"\nWrote {out / 'report.md'} and report.json")
    ready = {row["package"] for row in packages if row["state"] == "ready"}
    sys.exit(0 if ready.issuperset(REQUIRED) and tests["passed"] and not tests["failed"] else 1)


def _ready(name: Extra) -> Row:
    start = time.perf_counter()
    try:
        extra(name)
        state = "ready"
    except ImportError as error:
        state = str(error)
    print(f"{name}: {state}", flush=True)
    return {
        "package": name,
        "version": _version(name),
        "state": state,
        "seconds": round(time.perf_counter() - start, 1),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _run_tests(path: Path) -> Row:
    """All tests marked ``cuda``: how many passed, failed and were skipped."""
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "cuda", f"--junitxml={path.resolve()}"]
    subprocess.run(
        words,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        check=False,
    )
    suites = list(ElementTree.parse(path).iter("testsuite")) if path.is_file() else []
    count = {
        name: sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    }
    failed = count["failures"] + count["errors"]
    return {"passed": count["tests"] - failed - count["skipped"], "failed": failed, "skipped": count["skipped"]}


def _timings() -> tuple[list[Row], list[Row]]:
    """Figures of every case, and why some parts have none."""
    rows: list[Row] = []
    left_out: list[Row] = []
    for part, make in parts().items():
        try:
            for case in make():
                rows.append({"part": part, "scene": case.scene, "passes": case.passes, "by": case.by, **_time(case)})
                print(" ".join(str(value) for value in rows[-1].values()), flush=True)
        except (ImportError, RuntimeError) as error:
            left_out.append({"left out": part, "because": " ".join(str(error).split())})
            print(f"{part}: left out: {left_out[-1]['because']}", flush=True)
    return rows, left_out


def _time(case: Case) -> Row:
    """Milliseconds on the device from the first kernel to the last, by its own clock, and the most memory held."""
    torch.cuda.reset_peak_memory_stats()
    times = []
    for turn in range(WARM_UP + (case.rounds or ROUNDS)):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        case.run()
        end.record()
        torch.cuda.synchronize()
        if turn >= WARM_UP:
            times.append(start.elapsed_time(end))
    memory_mb = round(torch.cuda.max_memory_allocated() / 2**20)
    return {"median_ms": round(statistics.median(times), 3), "min_ms": round(min(times), 3), "memory_mb": memory_mb}


def _machine() -> Row:
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split("\n")[0].strip()
    cuda = {"device": torch.cuda.get_device_name(), "driver": driver, "cuda": torch.version.cuda}
    return cuda | describe_machine()


def _as_markdown(report: dict) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    tests = ", ".join(f"{value} {name}" for name, value in report["tests"].items())
    tables = "\n".join(_table(report[name]) for name in ("packages", "timings", "left_out"))
    return f"# CUDA backends\n\n{machine}\n\nTests marked `cuda`: {tests}.\n\n{tables}"


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
