"""``kill -9`` at random moments of a fit: the run folder stays whole, and the fit ends at the same bits.

``AVATAR_KILLS`` says how often; three times by default.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import avatar
from avatar.checkpoint import load_hybrid, load_tensors, newest_checkpoint
from avatar.train import read_events

SCRIPT = Path(__file__).with_name("killed_fit.py")
STEPS = 40
KILLS = int(os.environ.get("AVATAR_KILLS", "3"))


def begin(run: Path) -> subprocess.Popen[str]:
    """A process that is about to take its first step."""
    paths = [str(Path(avatar.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(run)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    """Wait until it has finished by itself."""
    process.communicate(timeout=120)
    assert process.returncode == 0


def killed(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether it was killed after so many seconds, and not finished before."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0
    return False


def result(run: Path) -> dict[str, torch.Tensor]:
    """Everything that a finished run has written, but for the times."""
    assert [path.name for path in run.glob("checkpoint-*")] == [f"checkpoint-{STEPS:07d}"]
    assert [row["step"] for row in read_events(run / "events.jsonl")] == list(range(10, STEPS + 1, 10))
    folder = newest_checkpoint(run)
    return load_tensors(folder / "avatar.safetensors") | load_tensors(folder / "training.safetensors")


def assert_whole(run: Path) -> None:
    """Whatever carries the name of a checkpoint is one."""
    if any(run.glob("checkpoint-*")):
        load_hybrid(run)
        load_tensors(newest_checkpoint(run) / "training.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX systems")
def test_killed_at_any_moment_it_resumes_to_the_same_bits(tmp_path: Path) -> None:
    reference = begin(tmp_path / "whole")
    start = time.perf_counter()
    end(reference)
    duration = time.perf_counter() - start
    expected = result(tmp_path / "whole")
    moments, kills, runs = random.Random(0), 0, [tmp_path / "run_0"]
    while kills < KILLS:
        if killed(begin(runs[-1]), moments.uniform(0, duration / 2)):
            kills += 1
            assert_whole(runs[-1])
        else:
            runs.append(tmp_path / f"run_{len(runs)}")
    end(begin(runs[-1]))
    for run in runs:
        found = result(run)
        assert found.keys() == expected.keys()
        assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
