"""Motion files of all kinds, by what they are called and what is in them."""

from pathlib import Path

from avatar.structs import Clip

from .bvh import read_bvh
from .files import MAX_BYTES, MotionError

SUFFIXES = (".bvh",)
"""What motion files may end in."""


def read_clip(path: Path) -> Clip:
    """The clip in a motion file. Raises FileNotFoundError, or MotionError, a ValueError that names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise MotionError(str(path), f"has {size} bytes; at most {MAX_BYTES} are read")
    return read_clip_bytes(str(path), path.read_bytes())


def read_clip_bytes(name: str, content: bytes) -> Clip:
    """The clip in the content of a motion file of this name. Raises MotionError as ``read_clip`` does."""
    if len(content) > MAX_BYTES:
        raise MotionError(name, f"has {len(content)} bytes; at most {MAX_BYTES} are read")
    match Path(name).suffix.lower():
        case ".bvh":
            return read_bvh(name, content)
        case suffix:
            raise MotionError(name, f"expected a motion file ({', '.join(SUFFIXES)}), got {suffix[:20]!r}")
