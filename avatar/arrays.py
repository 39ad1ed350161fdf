"""Arrays from NumPy's files, as bytes from anywhere: bounded, and free of code.

Sizes are known before memory is taken, headers are matched rather than evaluated, and objects are never unpickled.
"""

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np

MAX_MEMBERS = 1000
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufSUO]\d{0,9})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\), *\}\s*"
)


class ArrayFileError(ValueError):
    """What is wrong with the bytes, in one line; only the caller knows which file they are."""


@dataclass(frozen=True, kw_only=True)
class NpyHeader:
    """What an ``.npy`` file says about its data, which starts at byte ``offset``."""

    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int


def npy_header(data: bytes) -> NpyHeader:
    """The header of an ``.npy`` file (NumPy format versions 1.0 to 3.0)."""
    width = {b"\x01": 2, b"\x02": 4, b"\x03": 4}.get(data[6:7])
    if data[:6] != b"\x93NUMPY" or width is None:
        raise ArrayFileError("is not a NumPy file; write it with numpy.save")
    offset = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    match = NPY_HEADER.fullmatch(data[8 + width : min(offset, 4096)])
    if match is None:
        raise ArrayFileError("has a NumPy header of another type than numbers or text; write it with numpy.save")
    code, fortran, shape = match.groups()
    try:
        dtype = np.dtype(code.decode())
        lengths = tuple(int(length) for length in shape.replace(b" ", b"").split(b",") if length)
    except (TypeError, ValueError) as error:
        raise ArrayFileError(f"has a broken NumPy header ({error}); write it with numpy.save") from error
    return NpyHeader(dtype=dtype, shape=lengths, order="F" if fortran == b"True" else "C", offset=offset)


def parse_npy(data: bytes) -> np.ndarray:
    """The array in an ``.npy`` file; arrays of Python objects are refused."""
    header = npy_header(data)
    if header.dtype.hasobject:
        raise ArrayFileError("holds Python objects, which are not read; save plain arrays")
    expected, found = math.prod(header.shape) * header.dtype.itemsize, len(data) - header.offset
    if expected != found or len(header.shape) > 8:
        raise ArrayFileError(f"expected {expected} bytes of data for shape {header.shape}, got {found}; copy it again")
    array = np.ndarray(header.shape, header.dtype, data, header.offset, order=header.order).copy()
    if not is_text_valid(array):
        raise ArrayFileError("holds text with characters that do not exist; copy it again")
    return array


def is_text_valid(array: np.ndarray) -> bool:
    """False for text with code points beyond Unicode's last, which Python cannot make strings of."""
    if array.dtype.kind != "U" or not array.nbytes:
        return True
    code_points = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return bool(code_points.max() <= 0x10FFFF)


def unpack_npz(data: bytes, max_bytes: int, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, or those ``wanted`` of them, which may unpack to at most ``max_bytes``."""
    members = unzip(data, max_bytes, lambda member: wanted is None or member.removesuffix(".npy") in wanted)
    return {name.removesuffix(".npy"): _member(name, content) for name, content in members.items()}


def unzip(data: bytes, max_bytes: int, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The members of a zip archive with the names wanted, which may unpack to at most ``max_bytes``."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if is_wanted(member.filename)]
            _check_bounds(members, max_bytes)
            return {member.filename: archive.read(member) for member in members}
    except ArrayFileError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, RuntimeError, OverflowError) as error:
        raise ArrayFileError(f"is not a whole zip archive ({error}); copy it again") from error


def _member(name: str, content: bytes) -> np.ndarray:
    try:
        return parse_npy(content)
    except ArrayFileError as error:
        raise ArrayFileError(f"[{name!r:.80}] {error}") from error


def _check_bounds(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    """No member of an archive unpacks to more than it says."""
    total = sum(member.file_size for member in members)
    if total > max_bytes or len(members) > MAX_MEMBERS:
        raise ArrayFileError(f"unpacks {len(members)} members to {total} bytes; at most {max_bytes} are read")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ArrayFileError("is packed in a way that NumPy does not use; write it with numpy.savez")
