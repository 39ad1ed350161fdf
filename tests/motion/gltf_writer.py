"""A small writer of glTF animations for tests, by the specification and nothing of the library's."""

import base64
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
CODES = {"float32": 5126, "int16": 5122, "int8": 5120, "uint8": 5121}


@dataclass
class GltfWriter:
    """Nodes as dictionaries, and channels that are added one by one."""

    nodes: list[dict[str, Any]]
    skin: list[int] | None = None
    channels: list[dict[str, Any]] = field(default_factory=list)
    samplers: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    data: bytes = b""

    def animate(self, node: int, path: str, times: list[float], values: np.ndarray, how: str = "LINEAR") -> None:
        """Move a node along keys."""
        numbers = values if values.dtype == np.int16 else values.astype(np.float32)
        keys = self._accessor(np.asarray(times, "f4")[:, None])
        sampler = {"input": keys, "output": self._accessor(numbers), "interpolation": how}
        self.channels.append({"sampler": len(self.samplers), "target": {"node": node, "path": path}})
        self.samplers.append(sampler)

    def _accessor(self, rows: np.ndarray) -> int:
        raw = np.ascontiguousarray(rows).tobytes()
        self.data += b"\0" * (-len(self.data) % 4)
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)})
        self.data += raw
        code = CODES[str(rows.dtype)]
        kind = {"componentType": code, "type": TYPES[rows.shape[1]], "count": len(rows)}
        self.accessors.append(
            {"bufferView": len(self.views) - 1, **kind} | ({} if code == 5126 else {"normalized": True})
        )
        return len(self.accessors) - 1

    def document(self, uri: str | None = None) -> dict[str, Any]:
        """The JSON, whose one buffer is at ``uri`` or in the binary chunk."""
        buffer = {"byteLength": len(self.data)} | ({"uri": uri} if uri else {})
        document = {"asset": {"version": "2.0"}, "nodes": self.nodes, "buffers": [buffer]}
        document |= {"bufferViews": self.views, "accessors": self.accessors}
        document |= {"animations": [{"channels": self.channels, "samplers": self.samplers}]}
        return document | ({"skins": [{"joints": self.skin}]} if self.skin else {})

    def gltf(self, uri: str | None = None) -> bytes:
        """A text file, with its data in it unless ``uri`` says where."""
        inside = f"data:application/octet-stream;base64,{base64.b64encode(self.data).decode()}"
        return json.dumps(self.document(uri or inside)).encode()

    def glb(self) -> bytes:
        """A binary file."""
        text = json.dumps(self.document()).encode()
        chunks = b""
        for kind, chunk in (
            (b"JSON", text + b" " * (-len(text) % 4)),
            (b"BIN\0", self.data + b"\0" * (-len(self.data) % 4)),
        ):
            chunks += struct.pack("<I", len(chunk)) + kind + chunk
        return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks
