"""Motion files of all kinds, by what they are called and what is in them."""

from collections.abc import Callable
from pathlib import Path

from avatar.arrays import ArrayFileError, unzip
from avatar.structs import Clip

from .amass import read_smpl_motion
from .asf_amc import read_asf_amc
from .bvh import read_bvh
from .files import MAX_BYTES, MotionError
from .gltf_animation import read_gltf_animation
from .stored import read_stored

SUFFIXES = (".bvh", ".amc", ".npz", ".smpl", ".glb", ".gltf", ".zip")
"""What motion files may end in; ``.amc`` with its ``.asf`` beside it, ``.zip`` with both in it."""

ReadBeside = Callable[[str], bytes]
"""The content of a file beside the one that names it; raises ValueError or FileNotFoundError."""


def read_clip(path: Path, frame_rate_hz: float | None = None) -> Clip:
    """The clip in a motion file; ``frame_rate_hz`` is for files that do not say theirs.

    Raises FileNotFoundError, or MotionError, a ValueError of one line that names the file.
    """
    content = _read_bytes(path)
    if path.suffix.lower() == ".amc":
        skeleton = _skeleton_beside(path)
        return read_asf_amc(str(skeleton), _read_bytes(skeleton), str(path), content)
    return _read(str(path), content, frame_rate_hz, lambda name: _read_bytes(_inside(path.parent, name)))


def read_clip_bytes(name: str, content: bytes, frame_rate_hz: float | None = None) -> Clip:
    """The clip in the content of a motion file of this name, which must need no other file. Raises MotionError."""
    if len(content) > MAX_BYTES:
        raise MotionError(name, f"has {len(content)} bytes; at most {MAX_BYTES} are read")

    def nothing_beside(other: str) -> bytes:
        raise MotionError(name, f"needs the file {other[:80]!r}: give one that has everything in it")

    return _read(name, content, frame_rate_hz, nothing_beside)


def _read(name: str, content: bytes, frame_rate_hz: float | None, beside: ReadBeside) -> Clip:
    match Path(name).suffix.lower():
        case ".bvh":
            return read_bvh(name, content)
        case ".npz" | ".smpl":
            return read_stored(name, content) or read_smpl_motion(name, content, frame_rate_hz)
        case ".glb" | ".gltf":
            return read_gltf_animation(name, content, beside)
        case ".zip":
            return _read_pair(name, content)
        case ".asf" | ".amc":
            raise MotionError(name, "comes with another: put the .asf and the .amc file into one .zip")
        case suffix:
            raise MotionError(name, f"expected a motion file ({', '.join(SUFFIXES)}), got {suffix[:20]!r}")


def _read_pair(name: str, content: bytes) -> Clip:
    """The clip of the one skeleton and the one motion in an archive."""
    try:
        members = unzip(content, MAX_BYTES, lambda member: member.lower().endswith((".asf", ".amc")))
    except ArrayFileError as error:
        raise MotionError(name, str(error)) from error
    ordered = sorted(members, key=lambda member: member.lower()[-4:])  # .amc before .asf
    if [member.lower()[-4:] for member in ordered] != [".amc", ".asf"]:
        raise MotionError(name, f"expected one .asf and one .amc file in it, got {len(members)} files of these kinds")
    motion, skeleton = ordered
    return read_asf_amc(f"{name}[{skeleton}]", members[skeleton], f"{name}[{motion}]", members[motion])


def _skeleton_beside(path: Path) -> Path:
    """CMU's ``12_01.amc`` belongs to ``12.asf``; a file of the same name, or the only one there, goes too."""
    there = sorted(path.parent.glob("*.[aA][sS][fF]"))
    wanted = (path.stem, path.stem.split("_")[0])
    found = [other for stem in wanted for other in there if other.stem == stem] or (there if len(there) == 1 else [])
    if not found:
        raise MotionError(str(path), f"needs its skeleton beside it: {wanted[1]}.asf")
    return found[0]


def _inside(folder: Path, name: str) -> Path:
    """The file of this name in the folder or one within it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise MotionError(str(path), "is outside the folder of the file that names it")
    return path


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise MotionError(str(path), f"has {size} bytes; at most {MAX_BYTES} are read")
    return path.read_bytes()
