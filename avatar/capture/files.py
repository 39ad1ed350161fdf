"""The doors through which a capture's files come in: bounded, inside the folder, and free of code.

Nothing here trusts what it reads. Sizes are known before memory is taken, ``.npy`` headers are matched rather than
evaluated, and every failure is a :class:`CaptureError`.
"""

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Literal

import numpy as np

from .errors import CaptureError, MissingFileError

MAX_BYTES = 256 * 2**20
MAX_JSON_BYTES = 16 * 2**20
MAX_MEMBERS = 1000
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufSUO]\d{0,9})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\), *\}\s*"
)


@dataclass(frozen=True, kw_only=True)
class NpyHeader:
    """What an ``.npy`` file says about its data, which starts at byte ``offset``."""

    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int


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

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        value = json.loads(read_bytes(path, MAX_JSON_BYTES), parse_constant=refuse)
    except CaptureError:
        raise
    except (ValueError, RecursionError) as error:
        raise CaptureError(path, f"is not JSON ({error}); write it anew") from error
    if not isinstance(value, dict):
        raise CaptureError(path, f"expected one JSON object, got {type(value).__name__}")
    return value


def npy_header(data: bytes, where: Path | str) -> NpyHeader:
    """The header of an ``.npy`` file (NumPy format versions 1.0 to 3.0)."""
    width = {b"\x01": 2, b"\x02": 4, b"\x03": 4}.get(data[6:7])
    if data[:6] != b"\x93NUMPY" or width is None:
        raise CaptureError(where, "is not a NumPy file; write it with numpy.save")
    offset = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    match = NPY_HEADER.fullmatch(data[8 + width : min(offset, 4096)])
    if match is None:
        raise CaptureError(where, "has a NumPy header of another type than numbers or text; write it with numpy.save")
    code, fortran, shape = match.groups()
    try:
        dtype = np.dtype(code.decode())
        lengths = tuple(int(length) for length in shape.replace(b" ", b"").split(b",") if length)
    except (TypeError, ValueError) as error:
        raise CaptureError(where, f"has a broken NumPy header ({error}); write it with numpy.save") from error
    return NpyHeader(dtype=dtype, shape=lengths, order="F" if fortran == b"True" else "C", offset=offset)


def parse_npy(data: bytes, where: Path | str) -> np.ndarray:
    """The array in an ``.npy`` file; arrays of Python objects are refused."""
    header = npy_header(data, where)
    if header.dtype.hasobject:
        raise CaptureError(where, "holds Python objects, which are not read; save plain arrays")
    expected, found = math.prod(header.shape) * header.dtype.itemsize, len(data) - header.offset
    if expected != found or len(header.shape) > 8:
        raise CaptureError(
            where, f"expected {expected} bytes of data for shape {header.shape}, got {found}; copy it again"
        )
    array = np.ndarray(header.shape, header.dtype, data, header.offset, order=header.order).copy()
    if not is_text_valid(array):
        raise CaptureError(where, "holds text with characters that do not exist; copy it again")
    return array


def is_text_valid(array: np.ndarray) -> bool:
    """False for text with code points beyond Unicode's last, which Python cannot make strings of."""
    if array.dtype.kind != "U" or not array.nbytes:
        return True
    code_points = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return bool(code_points.max() <= 0x10FFFF)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, which may unpack to at most ``MAX_BYTES``."""
    data = read_bytes(path)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            unpacked = {member.filename: archive.read(member) for member in _bounded(archive.infolist(), path)}
    except CaptureError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, RuntimeError, OverflowError) as error:
        raise CaptureError(path, f"is not a whole .npz file ({error}); copy it again") from error
    return {
        name.removesuffix(".npy"): parse_npy(content, f"{path}[{name!r:.80}]") for name, content in unpacked.items()
    }


def _bounded(members: list[zipfile.ZipInfo], path: Path) -> list[zipfile.ZipInfo]:
    """The members of an archive, none of which unpacks to more than it says."""
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES or len(members) > MAX_MEMBERS:
        raise CaptureError(path, f"unpacks {len(members)} members to {total} bytes; at most {MAX_BYTES} are read")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise CaptureError(path, "is packed in a way that NumPy does not use; write it with numpy.savez")
    return members
