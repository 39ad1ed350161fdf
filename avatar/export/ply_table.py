"""The ``vertex`` table of a binary PLY file, read without trusting the file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_HEADER_BYTES = 64 * 1024
MAX_FILE_BYTES = 4 * 2**30
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}


@dataclass(frozen=True, kw_only=True)
class Element:
    """One table of the file: its name, number of rows and columns as NumPy wants them."""

    name: str
    count: int
    columns: list[tuple[str, str]]

    @property
    def dtype(self) -> np.dtype:
        """A packed row."""
        return np.dtype(self.columns)


def read_vertices(path: Path) -> np.ndarray:
    """The rows of element ``vertex`` as a structured array with a field a property.

    Raises FileNotFoundError, and ValueError naming the file when it is not a whole binary little-endian PLY with one.
    """
    if (file_size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ValueError(f"{path}: has {file_size} bytes; at most {MAX_FILE_BYTES} are read")
    content = path.read_bytes()
    try:
        elements, offset = _parse_header(content)
        for element in elements:
            size = element.count * element.dtype.itemsize
            if offset + size > len(content):
                raise ValueError(f"{element.count} rows of {element.name} need {size} bytes, more than the file has")
            if element.name == "vertex":
                return np.frombuffer(content, element.dtype, element.count, offset)
            offset += size
        raise ValueError("it has no element vertex")
    except ValueError as error:
        raise ValueError(f"{path}: not a PLY file that can be read: {error}") from error


def _parse_header(content: bytes) -> tuple[list[Element], int]:
    """The elements in the order of the file, and where their rows begin."""
    header, end, _ = content[:MAX_HEADER_BYTES].partition(b"end_header\n")
    if not header.startswith(b"ply") or not end:
        raise ValueError(f"expected a header from 'ply' to 'end_header' in the first {MAX_HEADER_BYTES} bytes")
    elements: list[Element] = []
    for line in header.decode("ascii", "replace").splitlines()[1:]:
        match line.split():
            case ["format", "binary_little_endian", "1.0"] | ["comment" | "obj_info", *_] | []:
                pass
            case ["format", *form]:
                raise ValueError(f"expected format binary_little_endian 1.0, got {' '.join(form)[:40]!r}")
            case ["element", name, count] if count.isdecimal() and len(count) < 12:
                elements.append(Element(name=name, count=int(count), columns=[]))
            case ["property", kind, name] if kind in TYPES and elements:
                elements[-1].columns.append((name, "<" + TYPES[kind]))
            case _:
                raise ValueError(f"cannot use the header line {line[:60]!r}")
    return elements, len(header) + len(end)
