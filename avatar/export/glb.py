"""The container of binary glTF 2.0: JSON that describes, and the bytes of arrays and pictures that it describes."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from avatar import __version__
from avatar.atomic import replacing

MAGIC, VERSION = b"glTF", 2
COMPONENT_TYPES = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
KINDS = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963  # what a graphics card is to take a view for


class GlbWriter:
    """Collects what a file is to hold, then writes it.

    Attributes:
        json: the description; entries of its lists name each other by their index.
    """

    def __init__(self, extras: dict[str, Any]) -> None:
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"avatar {__version__}", "extras": extras},
            "scene": 0,
            "scenes": [],
        }
        self._bytes = bytearray()

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        """One more entry of the list ``kind``; gives its index."""
        entries = self.json.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def add_array(self, values: np.ndarray, *, target: int | None = None, with_bounds: bool = False) -> int:
        """An accessor of these rows, of a dtype in ``COMPONENT_TYPES``; a matrix is given row by row, as in NumPy."""
        assert len(values), "glTF knows no empty accessors"
        stored = values.swapaxes(1, 2) if values.ndim == 3 else values  # columns first
        entry = {
            "bufferView": self._view(np.ascontiguousarray(stored).tobytes(), target),
            "componentType": COMPONENT_TYPES[values.dtype.name],
            "count": len(values),
            "type": KINDS[values.shape[1:]],
        }
        if with_bounds:
            entry |= {"min": np.atleast_1d(values.min(0)).tolist(), "max": np.atleast_1d(values.max(0)).tolist()}
        return self.add("accessors", entry)

    def add_png(self, content: bytes) -> int:
        """A picture in the file."""
        return self.add("images", {"bufferView": self._view(content), "mimeType": "image/png"})

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        self.json["buffers"] = [{"byteLength": len(self._bytes)}]
        description = json.dumps(self.json, separators=(",", ":"), allow_nan=False).encode()
        description += b" " * (-len(description) % 4)
        chunks = b"".join(
            struct.pack("<I4s", len(chunk), kind) + chunk
            for kind, chunk in ((b"JSON", description), (b"BIN\0", bytes(self._bytes)))
        )
        with replacing(path) as temporary:
            temporary.write_bytes(struct.pack("<4sII", MAGIC, VERSION, 12 + len(chunks)) + chunks)

    def _view(self, content: bytes, target: int | None = None) -> int:
        view = {"buffer": 0, "byteOffset": len(self._bytes), "byteLength": len(content)}
        self._bytes += content + bytes(-len(content) % 4)
        return self.add("bufferViews", view if target is None else view | {"target": target})
