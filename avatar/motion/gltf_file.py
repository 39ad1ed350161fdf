"""A glTF 2.0 file taken apart: its JSON, and numbers out of its buffers, every range checked."""

import base64
import binascii
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float

from .files import MotionError, finite

GLB_MAGIC, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
MAX_JSON_BYTES = 16 * 2**20
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MOST_NUMBERS = 2**24


@dataclass(frozen=True, kw_only=True, eq=False)
class GltfFile:
    """What is in a ``.glb`` or ``.gltf`` file.

    Attributes:
        name: of the file.
        document: its JSON.
        binary: the binary chunk of a ``.glb``.
        beside: reads a file that it names, by the path in it.
    """

    name: str
    document: dict[str, Any]
    binary: bytes | None
    beside: Callable[[str], bytes]
    _buffers: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, content: bytes, beside: Callable[[str], bytes]) -> "GltfFile":
        """Take the content of a file apart. Raises MotionError when it is no glTF 2.0."""
        binary = None
        if content[:4] == b"glTF":
            content, binary = _chunks(name, content)
        if len(content) > MAX_JSON_BYTES:
            raise MotionError(name, f"has {len(content)} bytes of JSON; at most {MAX_JSON_BYTES} are read")
        try:
            document = json.loads(content, parse_constant=lambda constant: float("nan"))
        except (ValueError, RecursionError) as error:
            raise MotionError(name, f"is not JSON ({error})") from error
        if not isinstance(document, dict):
            raise MotionError(name, "is no glTF file: its JSON is no object")
        return cls(name=name, document=document, binary=binary, beside=beside)

    def rows(self, key: str, holder: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """A list of objects in the document, or in one of its objects; empty where it is missing."""
        found = (self.document if holder is None else holder).get(key, [])
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise MotionError(self.name, f"{key}: expected a list of objects")
        return found

    def row(self, key: str, index: object, holder: dict[str, Any] | None = None) -> dict[str, Any]:
        """One object of such a list. Raises MotionError when there is none of this index."""
        return self.rows(key, holder)[self.whole(index, len(self.rows(key, holder)), key)]

    def whole(self, value: object, limit: int, what: str) -> int:
        """A whole number from 0 up to, without, ``limit``."""
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
            raise MotionError(
                self.name, f"{what}: expected a whole number from 0 to {limit - 1}, got {str(value)[:40]}"
            )
        return value

    def vector(self, value: object, count: int, what: str) -> Float[np.ndarray, " n"]:
        """A list of this many finite numbers."""
        numbers = value if isinstance(value, list) else []
        if len(numbers) != count or not all(type(number) in (int, float) for number in numbers):
            raise MotionError(self.name, f"{what}: expected {count} numbers, got {str(value)[:40]}")
        return finite(self.name, np.array(numbers, dtype=np.float64))

    def accessor(self, index: object) -> Float[np.ndarray, "n w"]:
        """The numbers of an accessor, a row an element; whole ones that stand for fractions become them."""
        accessor = self.row("accessors", index)
        kind, width = COMPONENTS.get(accessor.get("componentType", 0)), WIDTHS.get(str(accessor.get("type")))
        if kind is None or width is None or "sparse" in accessor or "bufferView" not in accessor:
            raise MotionError(self.name, "accessors: expected dense ones of numbers that glTF knows")
        view = self.row("bufferViews", accessor["bufferView"])
        count = self.whole(accessor.get("count"), MOST_NUMBERS // width, "accessors.count")
        size = np.dtype(kind).itemsize * width
        stride = self.whole(view.get("byteStride", size), 253, "bufferViews.byteStride")
        data = self._view(view)[self.whole(accessor.get("byteOffset", 0), MOST_NUMBERS * 4, "accessors.byteOffset") :]
        if not count or stride < size or (count - 1) * stride + size > len(data):
            raise MotionError(self.name, f"accessors: {count} elements of {size} bytes reach beyond their buffer")
        numbers = np.ndarray((count, width), kind, data, strides=(stride, np.dtype(kind).itemsize)).astype(np.float64)
        if accessor.get("normalized") is True and kind != "<f4":
            numbers = np.maximum(numbers / np.iinfo(np.dtype(kind)).max, -1)
        return finite(self.name, numbers)

    def _view(self, view: dict[str, Any]) -> bytes:
        buffer = self._buffer(view.get("buffer"))
        start = self.whole(view.get("byteOffset", 0), len(buffer) + 1, "bufferViews.byteOffset")
        length = self.whole(view.get("byteLength"), len(buffer) + 1, "bufferViews.byteLength")
        if start + length > len(buffer):
            raise MotionError(self.name, f"bufferViews: {length} bytes from {start} on reach beyond {len(buffer)}")
        return buffer[start : start + length]

    def _buffer(self, index: object) -> bytes:
        place = self.whole(index, len(self.rows("buffers")), "bufferViews.buffer")
        if place not in self._buffers:
            self._buffers[place] = self._read(self.rows("buffers")[place].get("uri"))
        return self._buffers[place]

    def _read(self, uri: object) -> bytes:
        if uri is None and self.binary is not None:
            return self.binary
        if not isinstance(uri, str):
            raise MotionError(self.name, "buffers: expected a uri, or a .glb with its data in it")
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition("base64,")[2], validate=True)
            except binascii.Error as error:
                raise MotionError(self.name, f"buffers: broken base64 ({error})") from error
        if ":" in uri or uri.startswith(("/", "\\")) or ".." in uri:
            raise MotionError(self.name, f"buffers: {uri[:80]!r} is no file beside this one")
        return self.beside(unquote(uri))


def _chunks(name: str, content: bytes) -> tuple[bytes, bytes | None]:
    """The JSON and the binary chunk of a ``.glb``."""
    if len(content) < 20 or struct.unpack_from("<I", content, 4)[0] != 2:
        raise MotionError(name, "is no glTF 2.0 binary file")
    chunks: dict[int, bytes] = {}
    start = 12
    while start + 8 <= len(content):
        length, kind = struct.unpack_from("<II", content, start)
        if start + 8 + length > len(content):
            raise MotionError(name, f"is cut: a chunk says {length} bytes, {len(content) - start - 8} are there")
        chunks.setdefault(kind, content[start + 8 : start + 8 + length])
        start += 8 + length
    if JSON_CHUNK not in chunks:
        raise MotionError(name, "has no JSON chunk")
    return chunks[JSON_CHUNK], chunks.get(BINARY_CHUNK)
