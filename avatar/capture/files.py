"""The doors through which a capture's files come in: bounded, inside the folder, and free of code.

Nothing here trusts what it reads. Sizes are known before memory is taken, ``.npy`` headers are matched rather than
evaluated, and every failure is a :class:`CaptureError`.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

import numpy as np

from avatar import arrays
from avatar.arrays import NpyHeader

from .errors import CaptureError, MissingFileError

MAX_BYTES = 256 * 2**20
MAX_JSON_BYTES = 16 * 2**20


def relative_path(name: str, where: Path) -> str:
    """``name`` with slashes, not the back slashes of some sets; CaptureError when it could lead outside its folder."""
    path = name.replace("\\", "/")
    readable = path.isprintable() and 0 < len(path) <= 1024
    if not readable or PureWindowsPath(path).anchor or ".." in path.split("/"):
        raise CaptureError(where, f"the path {name[:120]!r} may lead outside the folder; expected folder/picture")
    return path


def inside(root: Path, name: str) -> Path:
    """The file ``name`` in ``root``; CaptureError when it, or a link on the way, leads outside."""
    path = root / relative_path(name, root)
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise CaptureError(path, f"cannot be followed ({error}); remove the link") from error
    if not target.is_relative_to(root.resolve()):
        raise CaptureError(path, f"is a link to {target}, outside the capture; copy the file into the folder")
    return path


def first_file(candidates: Iterable[Path]) -> Path:
    """The first of several possible files that is there; MissingFileError naming the first when none is."""
    paths = list(candidates)
    for path in paths:
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise CaptureError(path, f"cannot be looked up ({error.strerror})") from error
    raise MissingFileError(paths[0], "no such file; restore it or leave this picture out of the split")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes."""
    try:
        if not path.exists():
            raise MissingFileError(path, "no such file; restore it")
        if not path.is_file():
            raise CaptureError(path, "is not a regular file; replace it by one")
        if (size := path.stat().st_size) > limit:
            raise CaptureError(path, f"has {size} bytes; at most {limit} are read")
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, CaptureError):
            raise
        raise CaptureError(path, f"cannot be read ({error.strerror})") from error


def read_json(path: Path) -> dict[str, object]:
    """A JSON file that holds one object; NaN and Infinity are refused."""
    value = read_json_value(path)
    if not isinstance(value, dict):
        raise CaptureError(path, f"expected one JSON object, got {type(value).__name__}")
    return value


def read_json_value(path: Path) -> object:
    """What a JSON file holds; NaN and Infinity are refused."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        return json.loads(read_bytes(path, MAX_JSON_BYTES), parse_constant=refuse)
    except CaptureError:
        raise
    except (ValueError, RecursionError) as error:
        raise CaptureError(path, f"is not JSON ({error}); write it anew") from error


def npy_header(data: bytes, where: Path | str) -> NpyHeader:
    """The header of an ``.npy`` file (NumPy format versions 1.0 to 3.0)."""
    with _naming(where):
        return arrays.npy_header(data)


def parse_npy(data: bytes, where: Path | str) -> np.ndarray:
    """The array in an ``.npy`` file; arrays of Python objects are refused."""
    with _naming(where):
        return arrays.parse_npy(data)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, which may unpack to at most ``MAX_BYTES``."""
    with _naming(path):
        return arrays.unpack_npz(read_bytes(path), MAX_BYTES)


@contextmanager
def _naming(where: Path | str) -> Iterator[None]:
    try:
        yield
    except arrays.ArrayFileError as error:
        raise CaptureError(where, str(error)) from error
