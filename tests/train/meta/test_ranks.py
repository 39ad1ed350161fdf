"""Priors learnt by several processes, and by one that is killed."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import avatar
from avatar.checkpoint import load_tensors, newest_checkpoint
from avatar.train import read_events
from avatar.train.meta import Ranks

from .sines import learn

STEPS = 20
SCRIPT = Path(__file__).with_name("sines.py")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="torchrun and kill -9 are of POSIX systems here")


def begin(run: Path, torchrun: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Processes that are about to take their first step."""
    paths = [str(Path(avatar.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, *torchrun, str(SCRIPT), str(run), str(STEPS)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def result(run: Path) -> dict[str, torch.Tensor]:
    """All tensors, and mean losses over the run."""
    found = {}
    for method in ("reptile", "maml"):
        for file in ("prior.safetensors", "training.safetensors"):
            tensors = load_tensors(newest_checkpoint(run / method) / file)
            found |= {f"{method}/{file}/{name}": tensor for name, tensor in tensors.items()}
        rows = read_events(run / method / "events.jsonl")
        found[f"{method}/losses"] = torch.tensor([[row["step"], row["loss"], row["psnr"]] for row in rows])
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What one process finds that nobody kills."""
    run = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    learn(run, STEPS, Ranks())
    torch.set_num_threads(threads)
    return result(run)


def assert_identical(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_two_ranks_find_what_one_finds(expected: dict[str, torch.Tensor], tmp_path: Path) -> None:
    finish(begin(tmp_path, ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]))
    assert_identical(result(tmp_path), expected)


def test_killed_at_any_moment_it_resumes_to_the_same_bits(expected: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for seconds in (0.15, 0.3):
        process = begin(tmp_path)
        time.sleep(seconds)
        process.kill()
        process.communicate()
    finish(begin(tmp_path))
    assert_identical(result(tmp_path), expected)
