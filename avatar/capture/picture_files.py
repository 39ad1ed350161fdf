"""Whole JPEG and PNG files to pixels. OpenCV fills what is missing from a truncated file with grey and says nothing, so
files are walked from their first marker to their last before they are decoded."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from .errors import CaptureError
from .files import read_bytes

MAX_PIXELS = 64 * 2**20
AGAIN = "copy it again"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# The end of entropy-coded data: a marker that is neither a stuffed zero, a restart nor a fill byte.
JPEG_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """What a mask file says about a pixel.

    Attributes:
        above: the person is where the largest of its colours is greater than this: 0 for labels and 0 / 255, about half
            way for masks that were compressed.
        is_inverted: the person is everywhere else.
    """

    above: int = 0
    is_inverted: bool = False

    def apply(self, values: np.ndarray) -> Bool[np.ndarray, "h w"]:
        """True where the person is."""
        grey = values if values.ndim == 2 else values[..., :3].max(axis=-1)
        return (grey > self.above) != self.is_inverted


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a JPEG or PNG file that is whole."""
    return encoded_size(read_bytes(path), path)


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of a picture, sRGB. Raises CaptureError for a file that is truncated, broken or too large."""
    return decode_image(read_bytes(path), path)


def read_mask(path: Path, rule: MaskRule | None = None) -> Bool[np.ndarray, "h w"]:
    """Where the person is, by default where any colour of the file is not zero. Raises as ``read_image``."""
    return decode_mask(read_bytes(path), path, rule)


def decode_image(data: bytes, where: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """The same of the content of a file, which errors call ``where``."""
    return cv2.cvtColor(_decode(data, where, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB)


def decode_mask(data: bytes, where: Path | str, rule: MaskRule | None = None) -> Bool[np.ndarray, "h w"]:
    """The same of the content of a file, which errors call ``where``."""
    return (rule or MaskRule()).apply(_decode(data, where, cv2.IMREAD_UNCHANGED))


def _decode(data: bytes, where: Path | str, flags: int) -> np.ndarray:
    size = encoded_size(data, where)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.shape[:2] != size:
        raise CaptureError(where, f"cannot be decoded; {AGAIN}")
    return pixels


def encoded_size(data: bytes, where: Path | str) -> tuple[int, int]:
    """Height and width of a whole JPEG or PNG; CaptureError when it is not, or of too many pixels."""
    if data.startswith(PNG_SIGNATURE):
        size = _png_size(data)
    elif data.startswith(b"\xff\xd8"):
        size = _jpeg_size(data)
    else:
        raise CaptureError(where, "is neither JPEG nor PNG; convert it")
    if size is None:
        raise CaptureError(where, f"is truncated or damaged; {AGAIN}")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise CaptureError(where, f"has {size[0]} x {size[1]} pixels; from 1 to {MAX_PIXELS} are read")
    return size


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Height and width when every chunk up to IEND is there and matches its checksum."""
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4])
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return None
        if data[place + 4 : place + 8] == b"IEND":
            return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
        place = end + 4
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width when the segments lead from the first marker to end-of-image (ITU T.81, annex B)."""
    size, place = None, 2
    while (match := JPEG_MARKER.search(data, place)) is not None:
        marker, place = data[match.end() - 1], match.end()
        if marker == 0xD9:
            return size
        if marker in JPEG_FRAMES:
            size = int.from_bytes(data[place + 3 : place + 5]), int.from_bytes(data[place + 5 : place + 7])
        place += int.from_bytes(data[place : place + 2])
    return None
