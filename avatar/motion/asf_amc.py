"""Acclaim's skeleton (ASF) and motion (AMC) files, in which CMU publishes its captures.

A bone ``b`` turns in the world by ``G_b = G_parent C_b R_b C_b^-1``: ``C_b`` is its axis in the skeleton file, and
``R_b`` the product of its free angles, the first listed applied first; its end is at ``p_parent + G_b length
direction``. Directions are global, so all frames are level at rest.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import conjugate_quats, multiply_quats
from avatar.structs import Clip

from .euler import quats_from_euler
from .files import MotionError, checked_size, number, numbers, printable
from .hierarchy import Hierarchy

RATE_HZ = 120.0  # of all of CMU's captures; the files do not say
INCH_M = 0.0254
DOFS = ("rx", "ry", "rz", "tx", "ty", "tz", "l")


@dataclass(kw_only=True, eq=False)
class _Bone:
    name: str
    direction: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    length: float = 0.0
    axis: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    order: str = "xyz"
    dofs: list[str] = field(default_factory=list)
    parent: str | None = None


@dataclass(kw_only=True, eq=False)
class _Skeleton:
    """The bones by name, the root first, and what a unit of length and of angle is."""

    bones: dict[str, _Bone] = field(default_factory=dict)
    unit_m: float | None = None
    degrees: float = 1.0


def read_asf_amc(asf_name: str, asf: bytes, amc_name: str, amc: bytes) -> Clip:
    """The clip of a skeleton file and a motion file, at CMU's 120 frames a second.

    Raises MotionError, a ValueError of one line that names the file, when either is broken or they do not fit.
    """
    skeleton = _read_skeleton(asf_name, asf)
    bones = _parents_first(asf_name, skeleton)
    values = _read_motion(amc_name, amc, bones)
    places = {bone.name: row for row, bone in enumerate(bones)}
    parents = tuple(places[bone.parent] if bone.parent else -1 for bone in bones)
    ends = torch.tensor([[bone.length * way for way in bone.direction] for bone in bones], dtype=torch.float64)
    offsets = torch.stack([ends[parent] if parent >= 0 else 0 * ends[0] for parent in parents])
    paths = offsets.repeat(len(next(iter(values.values()))), 1, 1)
    for column, dof in enumerate(bones[0].dofs):
        if dof[0] == "t":
            paths[:, 0, "xyz".index(dof[1])] += values[bones[0].name][:, column]
    hierarchy = Hierarchy(
        joint_names=tuple(printable(bone.name) for bone in bones),
        parents=parents,
        rest_quats=torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).expand(len(bones), 4),
        rest_offsets=offsets,
        local_quats=torch.stack([_turn(bone, values[bone.name], skeleton.degrees) for bone in bones], 1),
        local_offsets=paths,
        unit_m=skeleton.unit_m,
        notes=(f"no frame rate in it: {RATE_HZ:g} Hz, as all of CMU's",),
    )
    return hierarchy.clip(amc_name, RATE_HZ)


def _lines(content: bytes) -> Iterator[list[str]]:
    """The words of every line without comments."""
    for line in content.decode("utf-8-sig", errors="replace").splitlines():
        if words := line.partition("#")[0].split():
            yield words


def _read_skeleton(name: str, content: bytes) -> _Skeleton:
    skeleton = _Skeleton(bones={"root": _Bone(name="root")})
    section, bone = "", skeleton.bones["root"]
    for words in _lines(content):
        key = words[0].lower()
        if key.startswith(":"):
            section, bone = key, skeleton.bones["root"]
        elif section == ":units":
            _read_unit(name, words, skeleton)
        elif section == ":root":
            _read_bone_line(name, words, bone)
        elif section == ":bonedata":
            bone = _Bone(name="") if key == "begin" else bone
            _read_bone_line(name, words, bone)
            if key == "end":
                skeleton.bones[bone.name] = bone
        elif section == ":hierarchy" and key not in ("begin", "end"):
            _read_children(name, words, skeleton.bones)
        checked_size(name, 1, len(skeleton.bones))
    if len(skeleton.bones) < 2:
        raise MotionError(name, "is no ASF skeleton: it has no bones")
    return skeleton


def _read_unit(name: str, words: Sequence[str], skeleton: _Skeleton) -> None:
    match [word.lower() for word in words]:
        case ["length", length]:
            if not number(name, length) > 0:
                raise MotionError(name, f"length: expected a unit above 0, got {length[:40]}")
            skeleton.unit_m = INCH_M / number(name, length)
        case ["angle", angle]:
            skeleton.degrees = math.degrees(1.0) if angle.startswith("rad") else 1.0
        case _:
            pass


def _read_bone_line(name: str, words: Sequence[str], bone: _Bone) -> None:
    """One property of a bone, or of the root, whose free angles are its order and whose axis is its orientation."""
    match [words[0].lower(), *words[1:]]:
        case ["name", value, *_]:
            bone.name = value
        case ["direction", x, y, z]:
            bone.direction = numbers(name, (x, y, z)).tolist()
        case ["length", length]:
            bone.length = number(name, length)
        case ["axis", x, y, z, order]:
            bone.axis, bone.order = numbers(name, (x, y, z)).tolist(), _axes(name, order)
        case ["axis", order]:
            bone.order = _axes(name, order)
        case ["orientation", x, y, z]:
            bone.axis = numbers(name, (x, y, z)).tolist()
        case ["dof" | "order", *dofs]:
            bone.dofs = [dof.lower() for dof in dofs]
            if not set(bone.dofs) <= set(DOFS) or len(set(bone.dofs)) < len(bone.dofs):
                raise MotionError(name, f"dof: expected different ones of {' '.join(DOFS)}, got {' '.join(dofs)[:40]}")
        case _:  # mass, limits and the like
            pass


def _axes(name: str, order: str) -> str:
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise MotionError(name, f"axis: expected an order such as XYZ, got {order[:40]!r}")
    return order.lower()


def _read_children(name: str, words: Sequence[str], bones: dict[str, _Bone]) -> None:
    for child in words[1:]:
        if words[0] not in bones or child not in bones or child == "root" or bones[child].parent is not None:
            raise MotionError(name, f"hierarchy: {words[0][:40]!r} cannot be the parent of {child[:40]!r}")
        bones[child].parent = words[0]


def _parents_first(name: str, skeleton: _Skeleton) -> list[_Bone]:
    """The bones that hang from the root."""
    children: dict[str | None, list[_Bone]] = {}
    for bone in skeleton.bones.values():
        children.setdefault(bone.parent, []).append(bone)
    ordered = [skeleton.bones["root"]]
    for bone in ordered:  # grows as it goes: parents have one name each, so no bone comes twice
        ordered += children.get(bone.name, [])
    if len(ordered) < 2:
        raise MotionError(name, "hierarchy: nothing hangs from the root")
    return ordered


def _read_motion(name: str, content: bytes, bones: Sequence[_Bone]) -> dict[str, Float[Tensor, "f d"]]:
    """The free numbers of every bone over time."""
    widths = {bone.name: len(bone.dofs) for bone in bones}
    rows: dict[str, list[np.ndarray]] = {bone.name: [] for bone in bones}
    frames = 0
    for words in _lines(content):
        if words[0].startswith(":"):
            if words[0].upper() == ":RADIANS":
                raise MotionError(name, "is in radians; expected :DEGREES")
        elif len(words) == 1 and words[0].isdigit():
            _check_whole(name, rows, widths, frames)
            frames += 1
            checked_size(name, frames, len(bones))
        elif words[0] in widths and frames and len(words) - 1 == widths[words[0]]:
            rows[words[0]].append(numbers(name, words[1:]))
        elif words[0] in widths or not frames:
            raise MotionError(name, f"frame {frames}: expected {widths.get(words[0], 0)} numbers of {words[0][:40]!r}")
    _check_whole(name, rows, widths, frames)
    if not frames:
        raise MotionError(name, "is no AMC motion: it has no frames")
    empty = np.zeros((frames, 0))
    return {bone: torch.from_numpy(np.stack(row) if row else empty) for bone, row in rows.items()}


def _check_whole(name: str, rows: dict[str, list[np.ndarray]], widths: dict[str, int], frames: int) -> None:
    lacking = [bone for bone, width in widths.items() if width and len(rows[bone]) != frames]
    if lacking:
        raise MotionError(name, f"frame {frames}: expected one line of each bone, not so of {lacking[0]!r}")


def _turn(bone: _Bone, values: Float[Tensor, "f d"], degrees: float) -> Float[Tensor, "f 4"]:
    """``C R C^-1`` over time."""
    axis = torch.tensor([[bone.axis["xyz".index(letter)] for letter in reversed(bone.order)]], dtype=torch.float64)
    frame = quats_from_euler(axis * degrees, ["xyz".index(letter) for letter in reversed(bone.order)])
    turning = [column for column, dof in reversed(list(enumerate(bone.dofs))) if dof[0] == "r"]
    turn = quats_from_euler(values[:, turning], ["xyz".index(bone.dofs[column][1]) for column in turning])
    return multiply_quats(multiply_quats(frame, turn), conjugate_quats(frame))
