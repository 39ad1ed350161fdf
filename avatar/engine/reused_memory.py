"""Large results in memory that is used again: to touch fresh pages costs many times what writing them does."""

import math
import mmap
import weakref
from contextlib import suppress

import torch
from torch import Tensor

LARGE_BYTES = 32 << 20
"""From here on malloc takes memory from the system and gives it back each time (the most its threshold grows to)."""
KEPT_BYTES = 1 << 30
"""Of free memory, the most that waits for its next use."""

_free: list[mmap.mmap] = []
"""The longest unused first. Memory may come back at any moment, in the middle of what is below, for that is when
garbage is collected: hence no lock to wait for, and every change is a single operation of the list."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """As ``torch.empty`` on the CPU; what is large gets the memory of an earlier one that is gone."""
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE_BYTES:
        return torch.empty(shape, dtype=dtype)
    memory = _take(size)
    view = memoryview(memory)
    weakref.finalize(view, _give_back, memory).atexit = False  # torch holds the view as long as a tensor has the memory
    return torch.frombuffer(view, dtype=dtype).view(shape)


def _take(size: int) -> mmap.mmap:
    for memory in _free[::-1]:
        if len(memory) == size:
            with suppress(ValueError):  # another thread was quicker
                _free.remove(memory)
                return memory
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a forked process gets its own copy
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _give_back(memory: mmap.mmap) -> None:
    _free.append(memory)
    while sum(map(len, _free[:])) > KEPT_BYTES:
        del _free[:1]
