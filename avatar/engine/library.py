"""Loads the compiled engine through ctypes; calls release the interpreter lock."""

import ctypes
import logging
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)


@cache
def load_library() -> ctypes.CDLL | None:
    """The compiled engine, or None (with one log line) where it was not built."""
    # An editable install keeps the library in another folder of the same package;
    # AVATAR_ENGINE names another build of it, such as one with sanitizers.
    paths = [Path(folder) / "_engine.so" for folder in import_module("avatar.engine").__path__]
    if named := os.environ.get("AVATAR_ENGINE"):
        paths = [Path(named)]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        logger.warning("compiled engine not found: using the plain-torch reference (reinstall with a C++17 compiler)")
        return None
    library = ctypes.CDLL(str(found))
    library.avatar_variant.restype = ctypes.c_char_p
    return library


@torch.compiler.assume_constant_result
def is_compiled() -> bool:
    """Whether the compiled engine is there; ``torch.compile`` takes the answer for a constant."""
    return load_library() is not None


_threads: int | None = None


def set_threads(threads: int | None) -> None:
    """Let the engine use its own number of threads, or torch's again with None.

    On few cores it is best to give torch one thread, for its small operators lose more by waking a second one than they
    gain, and all cores for the engine. Results do not depend on it. ValueError for fewer than one.
    """
    global _threads
    if threads is not None and threads < 1:
        raise ValueError(f"set_threads: expected at least 1 or None, got {threads}")
    _threads = threads


@cache
def _kernel(name: str, dtype: torch.dtype) -> Callable[..., int]:
    library = load_library()
    assert library is not None
    suffix = {torch.float32: "f", torch.float64: "d"}[dtype]
    kernel = getattr(library, f"avatar_{library.avatar_variant().decode()}_{name}_{suffix}")
    kernel.restype, kernel.argtypes = ctypes.c_int64, [ctypes.c_void_p]
    return kernel


def call(name: str, dtype: torch.dtype, arguments: ctypes.Structure) -> int:
    """Run the kernel ``name`` for ``dtype`` with the threads in force; returns its code. ``csrc`` has the arguments."""
    kernel, library = _kernel(name, dtype), load_library()
    assert library is not None
    library.avatar_set_threads(_threads or torch.get_num_threads())
    return kernel(ctypes.byref(arguments))


def check_tensors(operator: str, tensors: dict[str, tuple[torch.Tensor, tuple[int, ...]]], dtype: torch.dtype) -> None:
    """ValueError that names the first tensor that has not the shape beside it, or not ``dtype``, a floating one."""
    for name, (tensor, shape) in tensors.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{operator}: {name}: expected shape {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != dtype or dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{operator}: {name}: expected float32 or float64 as all others, got {tensor.dtype}")


def pointers(names: str) -> list[tuple[str, Any]]:
    """Fields of a structure of arguments: a pointer for each of ``names``."""
    return [(name, ctypes.c_void_p) for name in names.split()]


def integers(names: str) -> list[tuple[str, Any]]:
    """Fields of a structure of arguments: an ``int64_t`` for each of ``names``."""
    return [(name, ctypes.c_int64) for name in names.split()]


def numbers(names: str) -> list[tuple[str, Any]]:
    """Fields of a structure of arguments: a ``double`` for each of ``names``."""
    return [(name, ctypes.c_double) for name in names.split()]


def compiled_variant() -> str | None:
    """Instruction set of the kernels in use, such as ``"x86-64-v4"``; None where only the references exist."""
    library = load_library()
    if library is None:
        return None
    name = library.avatar_variant().decode()
    return f"x86-64-{name}" if name.startswith("v") else name
