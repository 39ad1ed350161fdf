"""3D Gaussians as SPZ (Niantic), about a tenth of a PLY: fixed-point numbers, stream after stream, gzipped.

Written is version 3; read are versions 2 and 3, gzipped or not. A header of 16 bytes (magic ``NGSP``, version, number,
degree of harmonics, fractional bits, flags, a zero), then of all Gaussians the positions (24-bit fixed point),
opacities (8 bits), colours, logarithms of scales, rotations, harmonics. Numbers are in the frame that the Gaussians are
in; files are meant to be x right, y up, z backward, which is ``to_y_up``.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from avatar.atomic import replacing
from avatar.geometry import normalize_quats
from avatar.structs import Gaussians

from .axes import storable

MAGIC = b"NGSP"
VERSION = 3
FRACTIONAL_BITS = 12  # positions to 0.24 mm, up to 2048 m away
MAX_FILE_BYTES = 2**30
MAX_GAUSSIANS = 10_000_000
HAS_EXTENSIONS = 2
NUM_REST = (0, 3, 8, 15)  # harmonics after the first, by degree
COLOR_GAIN = 0.15
LARGEST_OF_THREE = np.sqrt(0.5)  # no component of a unit quaternion but its largest is larger


class _Header(NamedTuple):
    magic: bytes
    version: int
    num_gaussians: int
    sh_degree: int
    fractional_bits: int
    flags: int
    reserved: int = 0


_HEADER = struct.Struct("<4sIIBBBB")


def write_spz(path: Path, gaussians: Gaussians) -> None:
    """Write Gaussians, whole or not at all; a binding is not kept, and the format has no place for comments.

    What is out of the range of its bits takes the nearest value: scales below 45 micrometres, colours far beyond what
    can be shown. Raises ValueError where a value is not finite, or a place is farther away than 2048 m.
    """
    scene = storable(path, gaussians)
    means, sh = scene.means.double().numpy(), scene.sh.double().numpy()
    fixed = np.rint(means * 2**FRACTIONAL_BITS)
    if (np.abs(fixed) >= 2**23).any():
        raise ValueError(f"{path}: expected places within 2048 m, got {np.abs(means).max():.0f}; nothing was written")
    header = _Header(MAGIC, VERSION, len(means), NUM_REST.index(sh.shape[1] - 1), FRACTIONAL_BITS, 0)
    streams = [
        fixed.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3],
        _to_bytes(scene.opacities.double().numpy() * 255),
        _to_bytes((sh[:, 0] * COLOR_GAIN + 0.5) * 255),
        _to_bytes((np.log(scene.scales.double().numpy()) + 10) * 16),
        _pack_rotations(scene.quats.double().numpy()),
        _quantized_rest(sh[:, 1:]),
    ]
    content = _HEADER.pack(*header) + b"".join(stream.tobytes() for stream in streams)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0))


def read_spz(path: Path) -> Gaussians:
    """Read Gaussians in the frame that the file has them in.

    Raises FileNotFoundError, and ValueError naming the file and what is wrong with it, before more memory is taken than
    its numbers need. Extensions are ignored.
    """
    try:
        header, body = _read_body(path)
        return _decode(header, body)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path}: not an SPZ file that can be read: {error}") from error


def _read_body(path: Path) -> tuple[_Header, bytes]:
    """The header, checked, and exactly the bytes of all Gaussians."""
    if (file_size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ValueError(f"it has {file_size} bytes; at most {MAX_FILE_BYTES} are read")
    content = path.read_bytes()
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS) if content[:2] == b"\x1f\x8b" else None
    start = inflater.decompress(content, _HEADER.size) if inflater else content[: _HEADER.size]
    if len(start) < _HEADER.size:
        raise ValueError("it ends within its header")
    header = _Header(*_HEADER.unpack(start))
    size = header.num_gaussians * _bytes_each(header)
    rest = size + 1  # one byte more shows that there is more
    body = inflater.decompress(inflater.unconsumed_tail, rest) if inflater else content[_HEADER.size :][:rest]
    if len(body) < size:
        raise ValueError(f"{header.num_gaussians} Gaussians need {size} bytes, more than it has")
    if len(body) > size and not header.flags & HAS_EXTENSIONS:
        raise ValueError(f"it goes on after the {size} bytes of {header.num_gaussians} Gaussians")
    return header, body[:size]


def _bytes_each(header: _Header) -> int:
    """Bytes a Gaussian; ValueError for what is no header of ours to read."""
    if header.magic != MAGIC:
        raise ValueError(f"expected it to begin with {MAGIC.decode()}, got {header.magic!r}")
    if header.version not in (2, 3):
        raise ValueError(f"expected version 2 or 3, got {header.version}; save it anew as version 3")
    if header.num_gaussians > MAX_GAUSSIANS:
        raise ValueError(f"expected at most {MAX_GAUSSIANS} Gaussians, got {header.num_gaussians}")
    if header.sh_degree >= len(NUM_REST):
        raise ValueError(f"expected harmonics of degree 0 to 3, got {header.sh_degree}")
    if header.fractional_bits > 23:
        raise ValueError(f"expected at most 23 fractional bits, got {header.fractional_bits}")
    return 9 + 1 + 3 + 3 + header.version + 1 + 3 * NUM_REST[header.sh_degree]


def _decode(header: _Header, body: bytes) -> Gaussians:
    count, num_rest = header.num_gaussians, NUM_REST[header.sh_degree]
    widths = np.array([9, 1, 3, 3, header.version + 1, 3 * num_rest])
    streams = np.split(np.frombuffer(body, np.uint8), count * widths.cumsum()[:-1])
    places, opacities, colors, log_scales, rotations, rest = (
        stream.reshape(count, width) for stream, width in zip(streams, widths, strict=True)
    )
    fixed = np.zeros((count, 3, 4), np.uint8)
    fixed[..., 1:] = places.reshape(count, 3, 3)
    means = (fixed.view("<i4")[..., 0] >> 8) / 2**header.fractional_bits
    sh = np.empty((count, 1 + num_rest, 3))
    sh[:, 0] = (colors / 255 - 0.5) / COLOR_GAIN
    sh[:, 1:] = (rest.reshape(count, num_rest, 3) - 128.0) / 128
    quats = _unpack_rotations(rotations) if header.version == 3 else _unpack_first_three(rotations)
    return Gaussians(
        means=torch.from_numpy(means).float(),
        quats=normalize_quats(torch.from_numpy(quats)).float(),
        scales=torch.from_numpy(log_scales / 16 - 10).exp().float(),
        opacities=torch.from_numpy(opacities[:, 0] / 255).float(),
        sh=torch.from_numpy(sh).float(),
    )


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _quantized_rest(rest: np.ndarray) -> np.ndarray:
    """Harmonics as bytes around 128, those of degree 1 with 5 bits, higher ones with 4, that gzip may find repeats."""
    steps = np.where(np.arange(rest.shape[1]) < 3, 8, 16)[:, None]
    return _to_bytes(np.rint(rest * 128 / steps).clip(-128 // steps, 127 // steps) * steps + 128)


def _pack_rotations(quats: np.ndarray) -> np.ndarray:
    """Which of x, y, z, w is the largest in two bits, then the others in order: a sign and nine bits each."""
    xyzw = quats[:, [1, 2, 3, 0]]
    largest = np.abs(xyzw).argmax(1)
    xyzw = xyzw * np.where(np.take_along_axis(xyzw, largest[:, None], 1) < 0, -1, 1)
    packed = largest.astype(np.uint32)
    for axis in range(4):
        values = xyzw[:, axis]
        magnitudes = np.rint(np.abs(values) / LARGEST_OF_THREE * 511).clip(0, 511).astype(np.uint32)
        longer = packed << 10 | (values < 0).astype(np.uint32) << 9 | magnitudes
        packed = np.where(axis == largest, packed, longer)
    return packed.astype("<u4")


def _unpack_rotations(rows: np.ndarray) -> np.ndarray:
    packed = np.ascontiguousarray(rows).view("<u4")[:, 0]
    largest, xyzw = packed >> 30, np.zeros((len(packed), 4))
    for axis in reversed(range(4)):
        values = (packed & 511) / 511 * LARGEST_OF_THREE * np.where(packed >> 9 & 1, -1, 1)
        xyzw[:, axis] = np.where(axis == largest, 0, values)
        packed = np.where(axis == largest, packed, packed >> 10)
    left = np.sqrt(np.maximum(0, 1 - np.square(xyzw).sum(1)))
    np.put_along_axis(xyzw, largest[:, None].astype(np.int64), left[:, None], 1)
    return xyzw[:, [3, 0, 1, 2]]


def _unpack_first_three(rows: np.ndarray) -> np.ndarray:
    """Version 2: x, y, z in a byte each; w is what is left, not negative."""
    xyz = rows / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - np.square(xyz).sum(1, keepdims=True)))
    return np.concatenate([w, xyz], 1)
