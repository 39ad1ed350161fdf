"""The engine's threads: callers at once, other numbers of threads, forks, the end of the process."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import pytest
import torch

from avatar.engine import rasterize, set_threads, ssim

pytestmark = pytest.mark.usefixtures("needs_engine")
can_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
FORKS, CHILD_SECONDS = 100, 30


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Two threads for the engine, on whatever machine."""
    set_threads(2)
    yield
    set_threads(None)


@pytest.fixture
def render(make_scene) -> Callable[[], torch.Tensor]:
    """A small picture of several tiles, so that threads share it."""
    scene = make_scene(count=200, height=70, width=100, dtype=torch.float32)
    return lambda: rasterize(*scene).colors


@contextmanager
def repeated_elsewhere(function: Callable[[], object]) -> Iterator[None]:
    """Another thread runs it all the time."""
    enough = Event()

    def repeat() -> None:
        while not enough.is_set():
            function()

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_eight_callers_with_changing_numbers_of_threads(make_scene, outcome):
    """Rendering with gradients and SSIM from eight threads give what they give alone."""
    scenes = [make_scene(count=60 + 30 * i, dtype=torch.float32) for i in range(8)]
    images = torch.rand(8, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = [(outcome(rasterize, scene), ssim(*pair)) for scene, pair in zip(scenes, images, strict=True)]

    def is_same(index: int) -> bool:
        expected, similarity = alone[index % 8]
        set_threads(1 + index % 5)
        found = outcome(rasterize, scenes[index % 8])
        same = all(torch.equal(found[name], value) for name, value in expected.items())
        return same and torch.equal(ssim(*images[index % 8]), similarity)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(is_same, range(64)))


@can_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_hundred_forks_while_another_thread_renders(render):
    """Whatever the other thread does at the fork, the child renders; one that hangs is ended by its alarm."""
    expected = render()
    with repeated_elsewhere(render):
        codes = []
        for _ in range(FORKS):
            child = os.fork()
            if child == 0:
                signal.alarm(CHILD_SECONDS)
                os._exit(0 if torch.equal(render(), expected) else 1)
            codes.append(os.waitpid(child, 0)[1])
    assert codes == [0] * FORKS
    assert torch.equal(render(), expected)


@can_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_workers_of_a_data_loader_render(render):
    """Forked workers and the process that feeds them use the engine at once."""
    expected = render()
    sums = torch.utils.data.DataLoader(Pictures(render), num_workers=2, batch_size=None, timeout=CHILD_SECONDS)
    assert all(torch.equal(picture, expected) and torch.equal(render(), expected) for picture in sums)


class Pictures(torch.utils.data.Dataset):
    """The same picture ten times."""

    def __init__(self, render: Callable[[], torch.Tensor]) -> None:
        self._render = render

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._render()


PROGRAM = """
import torch
from avatar.engine import set_threads, ssim
set_threads(3)
ssim(*torch.rand(2, 3, 256, 256))
"""


def test_a_process_ends_with_workers_awake():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
