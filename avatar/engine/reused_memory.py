"""Large results in memory that is used again: to touch fresh pages costs many times what writing them does."""

import math
import mmap
import weakref
from collections import OrderedDict
from threading import Lock

import torch
from torch import Tensor

LARGE_BYTES = 32 << 20
"""From here on malloc takes memory from the system and gives it back each time (the most its threshold grows to)."""
KEPT_BYTES = 1 << 30
"""Of free memory, the most that waits for its next use."""

_free: OrderedDict[int, mmap.mmap] = OrderedDict()  # by id, the longest unused first
_lock = Lock()


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
    with _lock:
        for key, memory in reversed(_free.items()):
            if len(memory) == size:
                return _free.pop(key)
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a forked process gets its own copy
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _give_back(memory: mmap.mmap) -> None:
    with _lock:
        _free[id(memory)] = memory
        while sum(map(len, _free.values())) > KEPT_BYTES:
            _free.popitem(last=False)
