"""BVH files, Biovision's hierarchy and motion in one text."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.structs import Clip

from .euler import quats_from_euler
from .files import MotionError, checked_rate, checked_size, number, numbers, printable, whole_rate
from .hierarchy import Hierarchy

_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
MAX_DEPTH = 200


@dataclass(kw_only=True, eq=False)
class _Joint:
    name: str
    parent: int
    is_end: bool
    offset: list[float] = field(default_factory=lambda: [0.0] * 3)
    channels: list[tuple[int, bool]] = field(default_factory=list)
    """The axis of each, and whether it is a rotation."""


def read_bvh(name: str, content: bytes) -> Clip:
    """The clip in a BVH file. Raises MotionError, a ValueError of one line that names the file, when it is broken.

    A joint turns by the product of its elementary rotations in the order of its channels, left to right. Position
    channels of the root replace its offset. Those of other joints do too if they start out near it, as exporters of
    Blender have it, and add to it otherwise. Axes and unit are seen from the rest pose.
    """
    lines = iter(content.decode("utf-8-sig", errors="replace").splitlines())
    joints = _read_hierarchy(name, _words(lines))
    frames, interval = _read_header(name, lines)
    channels = sum(len(joint.channels) for joint in joints)
    checked_size(name, frames, len(joints))
    if frames * channels > len(content):  # no number takes less than a character
        raise MotionError(name, f"ends early: it is too short for {frames} frames of {channels} channels")
    values = torch.from_numpy(_read_rows(name, lines, frames, channels))
    offsets = torch.tensor([joint.offset for joint in joints], dtype=torch.float64)
    quats, places, column = [], [], 0
    for joint, offset in zip(joints, offsets, strict=True):
        columns = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        quats.append(_turn(columns, joint))
        places.append(_place(columns, joint, offset))
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).expand(len(joints), 4)
    hierarchy = Hierarchy(
        joint_names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        rest_quats=identity,
        rest_offsets=offsets,
        local_quats=torch.stack(quats, 1),
        local_offsets=torch.stack(places, 1),
    )
    return hierarchy.clip(name, checked_rate(name, whole_rate(1 / interval)))


def _words(lines: Iterator[str]) -> Iterator[str]:
    """The words up to the line that says MOTION."""
    for line in lines:
        if line.strip().upper() == "MOTION":
            return
        yield from line.replace("{", " { ").replace("}", " } ").split()


def _read_hierarchy(name: str, words: Iterator[str]) -> list[_Joint]:
    joints: list[_Joint] = []
    open_joints: list[_Joint] = []
    if (first := next(words, "")).upper() != "HIERARCHY":
        raise MotionError(name, f"is no BVH file: expected HIERARCHY first, got {first[:40]!r}")
    for word in words:
        match word.upper():
            case "ROOT" | "JOINT" | "END" as kind:
                _check_nesting(name, open_joints)
                joint = _Joint(name=_joint_name(words), parent=-1, is_end=kind == "END")
                if open_joints:
                    joint.parent = joints.index(open_joints[-1])
                joints += [] if joint.is_end else [joint]
                open_joints.append(joint)
                checked_size(name, 1, len(joints))
            case "}" if open_joints:
                open_joints.pop()
            case "OFFSET" if open_joints:
                open_joints[-1].offset = [number(name, next(words, "nothing")) for _ in range(3)]
            case "CHANNELS" if open_joints:
                open_joints[-1].channels = _channels(name, words)
            case _:
                raise MotionError(name, f"expected a joint, an offset, channels or a brace, got {word[:40]!r}")
    if not joints or open_joints:
        raise MotionError(name, "ends within its hierarchy")
    return joints


def _check_nesting(name: str, open_joints: list[_Joint]) -> None:
    if len(open_joints) >= MAX_DEPTH:
        raise MotionError(name, f"nests joints deeper than {MAX_DEPTH}")
    if open_joints and open_joints[-1].is_end:
        raise MotionError(name, "has a joint within an end site")


def _joint_name(words: Iterator[str]) -> str:
    """Up to the opening brace: a name may have blanks."""
    return printable(" ".join(itertools.takewhile(lambda word: word != "{", words)))


def _channels(name: str, words: Iterator[str]) -> list[tuple[int, bool]]:
    count = next(words, "nothing")
    if not count.isdigit() or int(count) > 6:
        raise MotionError(name, f"CHANNELS: expected a number up to 6, got {count[:40]!r}")
    channels = []
    for word in itertools.islice(words, int(count)):
        match = _CHANNEL.fullmatch(word)
        if match is None:
            raise MotionError(name, f"CHANNELS: expected one such as Xrotation or Zposition, got {word[:40]!r}")
        channels.append(("XYZ".index(match[1].upper()), match[2].lower() == "rotation"))
    return channels


def _read_header(name: str, lines: Iterator[str]) -> tuple[int, float]:
    """How many frames, and the seconds between them."""
    values = {}
    for line in itertools.islice((line for line in lines if line.strip()), 2):
        key, _, value = line.partition(":")
        values[" ".join(key.lower().split())] = value.strip()
    frames, interval = values.get("frames", "nothing"), values.get("frame time", "nothing")
    if not frames.isdigit() or int(frames[:9]) == 0:
        raise MotionError(name, f"Frames: expected a number above 0, got {frames[:40]!r}")
    seconds = number(name, interval)
    if not seconds > 0:
        raise MotionError(name, f"Frame Time: expected seconds above 0, got {seconds:g}")
    return int(frames[:9]), seconds


def _read_rows(name: str, lines: Iterator[str], frames: int, channels: int) -> Float[np.ndarray, "f c"]:
    """The numbers of all frames, a row each, however many lines a row takes."""
    values = np.empty(frames * channels)
    filled = 0
    for line in lines:
        words = line.split()
        if filled + len(words) > len(values):
            raise MotionError(name, f"has more than the {frames} frames of {channels} channels that it says")
        values[filled : filled + len(words)] = numbers(name, words)
        filled += len(words)
    if filled < len(values):
        raise MotionError(name, f"ends early: {filled} of {frames} x {channels} numbers are there")
    return values.reshape(frames, channels)


def _turn(columns: Float[Tensor, "f c"], joint: _Joint) -> Float[Tensor, "f 4"]:
    turning = [column for column, (_, is_rotation) in enumerate(joint.channels) if is_rotation]
    return quats_from_euler(columns[:, turning], [joint.channels[column][0] for column in turning])


def _place(columns: Float[Tensor, "f c"], joint: _Joint, offset: Float[Tensor, " 3"]) -> Float[Tensor, "f 3"]:
    places = offset.repeat(len(columns), 1)
    moved = [(axis, column) for column, (axis, is_rotation) in enumerate(joint.channels) if not is_rotation]
    for axis, column in moved:
        places[:, axis] = columns[:, column]
    starts_near = (places[0] - offset).norm() <= 0.5 * offset.norm()
    return places if joint.parent < 0 or starts_near or not moved else places + offset
