"""Loads the compiled engine through ctypes; calls release the interpreter lock."""

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

_POINTER = ctypes.c_void_p


class SceneArguments(ctypes.Structure):
    """``RasterizeScene`` of ``csrc/api.h``, field by field."""

    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("num_gaussians", "num_cameras", "num_channels")],
        *[(name, _POINTER) for name in ("means", "quats", "scales", "opacities", "colors", "viewmats", "intrinsics")],
        *[(name, _POINTER) for name in ("backgrounds", "means2d_offsets")],
        *[(name, ctypes.c_int64) for name in ("height", "width")],
        *[(name, ctypes.c_int32) for name in ("sh_degree", "colors_per_camera", "with_depth", "antialiased")],
        *[(name, ctypes.c_double) for name in ("near_plane", "far_plane", "radius_clip", "eps2d")],
    ]


class OutputArguments(ctypes.Structure):
    """``RasterizeOutput`` of ``csrc/api.h``."""

    _fields_ = [(name, _POINTER) for name in ("colors", "alphas", "radii")]


class GradientArguments(ctypes.Structure):
    """``RasterizeGradients`` of ``csrc/api.h``."""

    _fields_ = [
        (name, _POINTER)
        for name in ("colors", "alphas", "means", "quats", "scales", "opacities", "scene_colors", "viewmats", "means2d")
    ]


class SkinArguments(ctypes.Structure):
    """``SkinScene`` of ``csrc/api.h``."""

    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("num_points", "num_joints", "num_influences")],
        *[(name, _POINTER) for name in ("points", "quats", "normals", "ids", "weights", "joints")],
    ]


class SkinOutputArguments(ctypes.Structure):
    """``SkinOutput`` of ``csrc/api.h``."""

    _fields_ = [(name, _POINTER) for name in ("points", "quats", "normals")]


class SkinGradientArguments(ctypes.Structure):
    """``SkinGradients`` of ``csrc/api.h``."""

    _fields_ = [(name, _POINTER) for name in ("out_points", "out_quats", "points", "quats", "joints")]


@cache
def load_library() -> ctypes.CDLL | None:
    """The compiled engine, or None (with one log line) where it was not built."""
    # An editable install keeps the library in another folder of the same package.
    folders = import_module("avatar.engine").__path__
    found = next((path for folder in folders if (path := Path(folder) / "_engine.so").is_file()), None)
    if found is None:
        logger.warning("compiled engine not found: using the plain-torch reference (reinstall with a C++17 compiler)")
        return None
    library = ctypes.CDLL(str(found))
    library.avatar_variant.restype = ctypes.c_char_p
    for suffix in ("f", "d"):
        raster = getattr(library, f"avatar_rasterize_mesh_{suffix}")
        raster.restype = None
        raster.argtypes = [_POINTER] * 3 + [ctypes.c_int64] * 3 + [ctypes.c_double] + [_POINTER] * 3
        forward = getattr(library, f"avatar_rasterize_{suffix}")
        forward.restype, forward.argtypes = ctypes.c_int64, [_POINTER, _POINTER, ctypes.c_int]
        backward = getattr(library, f"avatar_rasterize_backward_{suffix}")
        backward.restype, backward.argtypes = ctypes.c_int, [ctypes.c_int64, _POINTER, _POINTER]
        for name in ("skin", "skin_backward"):
            skin = getattr(library, f"avatar_{name}_{suffix}")
            skin.restype, skin.argtypes = ctypes.c_int if name == "skin" else None, [_POINTER, _POINTER]
        ssim = getattr(library, f"avatar_ssim_{suffix}")
        ssim.restype, ssim.argtypes = ctypes.c_double, [_POINTER] * 3 + [ctypes.c_int64] * 3
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


def function(name: str, dtype: torch.dtype) -> Callable[..., Any]:
    """The exported function ``name`` for ``dtype``, with the pool set to the number of threads in force."""
    library = load_library()
    assert library is not None
    library.avatar_set_threads(_threads or torch.get_num_threads())
    return getattr(library, f"{name}_{'f' if dtype == torch.float32 else 'd'}")


def compiled_variant() -> str | None:
    """Instruction set of the kernels in use, such as ``"x86-64-v4"``; None where only the references exist."""
    library = load_library()
    return library.avatar_variant().decode() if library else None
