"""Optional CUDA packages: imported when first asked for, and one clear sentence where that fails."""

import warnings
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Literal, NamedTuple

import torch

Extra = Literal["gsplat", "nerfacc", "tinycudann", "pytorch3d"]


class _Package(NamedTuple):
    """``kernels`` is the module whose import compiles or loads them; None of them, ``_C``, says that it could not."""

    remedy: str
    kernels: str | None = None


_CUDA_EXTRA = "run `pip install 'avatar[cuda]'`, and have the CUDA toolkit (nvcc) ready for its first build"
_PACKAGES: dict[Extra, _Package] = {
    "gsplat": _Package(_CUDA_EXTRA, "gsplat.cuda._backend"),
    "nerfacc": _Package(_CUDA_EXTRA, "nerfacc.cuda._backend"),
    "tinycudann": _Package(
        "it is optional, the hash grid in torch does the same; to have it, run "
        "`pip install git+https://github.com/NVlabs/tiny-cuda-nn#subdirectory=bindings/torch`"
    ),
    "pytorch3d": _Package(
        "it is optional, the engine's own functions do the same; to have it, run `pip install 'avatar[pytorch3d]'`"
    ),
}


def extra(name: Extra) -> ModuleType:
    """The package ``name`` with its kernels compiled; the first call may take minutes, later ones nothing.

    Raises:
        ImportError: there is no CUDA device, or the package is missing or cannot be built; always the same sentence,
            found once.
    """
    found = _load(name)
    if isinstance(found, str):
        raise ImportError(found)
    return found


@cache
def _load(name: Extra) -> ModuleType | str:
    """The package, or why it cannot be had."""
    package = _PACKAGES[name]
    if not torch.cuda.is_available():  # without one, these packages import well and fail at the first call
        return f"{name}: needs a CUDA device, and torch {torch.__version__} finds none; choose the backend 'cpu'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a build has to say is its own affair
            module = import_module(name)
            kernels = import_module(package.kernels) if package.kernels else None
    except ImportError as error:
        return f"{name}: cannot be imported ({_first_line(error)}): {package.remedy}"
    except (OSError, RuntimeError) as error:  # what torch raises where a build fails
        return f"{name}: its CUDA kernels cannot be built ({_first_line(error)}): {package.remedy}"
    if kernels is not None and kernels._C is None:
        return f"{name}: its CUDA kernels cannot be built (no CUDA toolkit found): {package.remedy}"
    return module


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
