"""Text files of skeletool, which DynaCap and WildDynaCap use: cameras, skeletons and motions.

World y-up, OpenCV cameras from world to camera, millimetres. Weights carry units: a degree of freedom that moves the
root counts metres and has a weight of 1000.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from avatar.geometry import matrices_from_axis_angles

from .calibration import Calibration
from .camera_files.conventions import corner_intrinsics, parse_floats
from .errors import CaptureError
from .files import read_bytes

CAMERAS = "Skeletool Camera Calibration File V1.0"
SKELETON = "Skeletool Skeleton Definition V1.0"
MOTION = "Skeletool Motion File V1.0"
MILLIMETRE = 1e-3
MAX_ENTRIES = 10_000


def read_cameras(path: Path) -> list[Calibration]:
    """The cameras of a ``cameras.calibration``, metres. Lines of unknown keys are passed over."""
    blocks: list[dict[str, list[str]]] = []
    for line in _lines(path, CAMERAS):
        key, *words = line.split() or [""]
        if key == "name":
            blocks.append({})
        if key and blocks:
            blocks[-1][key] = words
    return [_camera(block, path) for block in blocks]


def _camera(block: dict[str, list[str]], path: Path) -> Calibration:
    name = " ".join(block["name"])[:80]
    if missing := [key for key in ("size", "intrinsic", "extrinsic") if key not in block]:
        raise CaptureError(path, f"camera {name!r} has no {missing[0]!r}; calibrate again")
    for key in ("animated", "radial"):
        if any(parse_floats(block.get(key, ["0"])[:1], (1,), path, f"camera {name!r}: {key}")):
            raise CaptureError(path, f"camera {name!r}: {key} is not 0; such cameras are not read")
    width, height = parse_floats(block["size"], (2,), path, f"camera {name!r}: size")
    intrinsic, extrinsic = (
        parse_floats(block[key], (4, 4), path, f"camera {name!r}: {key}") for key in ("intrinsic", "extrinsic")
    )
    extrinsic[:3, 3] *= MILLIMETRE
    return Calibration.checked(
        name,
        path,
        intrinsics_px=corner_intrinsics(intrinsic[:3, :3]),
        camera_from_world=extrinsic[:3],
        size=(int(height), int(width)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """One joint: a turn about, or a slide along, ``axis``, after a step of ``offset`` from its parent, metres."""

    name: str
    parent: int
    offset: Float[np.ndarray, "3"]
    axis: Float[np.ndarray, "3"]
    is_revolute: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeleton:
    """Joints, parents before children, and how degrees of freedom drive them.

    Attributes:
        joints: the joints.
        dof_names: the degrees of freedom.
        weights: how much each adds to the parameter of each joint: radians, or metres.
    """

    joints: tuple[Joint, ...]
    dof_names: tuple[str, ...]
    weights: Float[np.ndarray, "j d"]

    def places(self, dofs: Float[np.ndarray, "f d"]) -> Float[np.ndarray, "f j 3"]:
        """Where the joints are in the world of the motion, metres."""
        parameters = dofs @ self.weights.T
        world = np.empty((len(dofs), len(self.joints), 4, 4))
        for index, joint in enumerate(self.joints):
            local = np.tile(np.eye(4), (len(dofs), 1, 1))
            local[:, :3, 3] = joint.offset
            moved = parameters[:, index, None] * joint.axis
            if joint.is_revolute:
                local[:, :3, :3] = matrices_from_axis_angles(torch.from_numpy(moved)).numpy()
            else:
                local[:, :3, 3] += moved
            world[:, index] = local if joint.parent < 0 else world[:, joint.parent] @ local
        return world[..., :3, 3]


def read_skeleton(path: Path) -> Skeleton:
    """The skeleton in a ``.skeleton`` file. Degrees of freedom that scale the body count for nothing."""
    lines = iter([line.split() for line in _lines(path, SKELETON) if line.strip()])
    joints: list[Joint] = []
    names: dict[str, int] = {}
    for words in _block(lines, "joints:", path):
        joint = _joint(words, names, path)
        names[joint.name] = len(joints)
        joints.append(joint)
    count = _count(_seek(lines, "dofs:", path), path)
    dof_names, weights = [], np.zeros((len(joints), count))
    for dof in range(count):
        name, number = _words(lines, path, 2)[:2]
        dof_names.append(name)
        _words(lines, path, 1)
        for _ in range(_count(number, path)):
            joint, weight = _words(lines, path, 2)[:2]
            if joint not in names:
                raise CaptureError(path, f"dof {name[:40]}: no joint {joint[:40]!r}; export the skeleton again")
            unit = 1.0 if joints[names[joint]].is_revolute else MILLIMETRE
            factor = 0.0 if "scale" in name.lower() else unit
            weights[names[joint], dof] += factor * float(parse_floats([weight], (1,), path, f"dof {name[:40]}")[0])
    return Skeleton(joints=tuple(joints), dof_names=tuple(dof_names), weights=weights)


def _joint(words: list[str], names: dict[str, int], path: Path) -> Joint:
    if len(words) < 9 or words[1] not in ("revolute", "prismatic"):
        raise CaptureError(path, f"expected a joint's name, type, parent, offset and axis, got {words!r:.80}")
    if words[2] != "none" and words[2] not in names:
        raise CaptureError(path, f"joint {words[0][:40]}: its parent {words[2][:40]!r} does not come before it")
    numbers = parse_floats(words[3:9], (6,), path, f"joint {words[0][:40]}")
    return Joint(
        name=words[0],
        parent=names.get(words[2], -1),
        offset=MILLIMETRE * numbers[:3],
        axis=numbers[3:],
        is_revolute=words[1] == "revolute",
    )


def read_motion(path: Path) -> tuple[Int[np.ndarray, " f"], Float[np.ndarray, "f d"]]:
    """The frame numbers of a ``.motion`` file, and the degrees of freedom of each."""
    rows = [line.split() for line in _lines(path, MOTION) if line.strip()]
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise CaptureError(path, "expected rows of a frame number and as many values each; export the motion again")
    numbers = parse_floats([word for row in rows for word in row], (len(rows), len(rows[0])), path, "motion")
    frames = numbers[:, 0]
    if (frames != frames.round()).any() or (frames < 0).any() or (frames > 1e9).any() or (np.diff(frames) <= 0).any():
        raise CaptureError(path, "expected frame numbers that rise, three rows a frame is a motion of another kind")
    return frames.astype(np.int64), numbers[:, 1:]


def _lines(path: Path, title: str) -> Iterator[str]:
    """The lines of a text file below its title."""
    try:
        first, *lines = read_bytes(path).decode().splitlines() or [""]
    except UnicodeDecodeError as error:
        raise CaptureError(path, "is not text; copy it again") from error
    if first.strip() != title:
        raise CaptureError(path, f"expected {title!r} in its first line, got {first[:60]!r}")
    return iter(lines)


def _seek(lines: Iterator[list[str]], key: str, path: Path) -> str:
    """The word after ``key``, which begins one of the lines to come."""
    for words in lines:
        if words[0] == key and len(words) > 1:
            return words[1]
    raise CaptureError(path, f"has no {key!r}; export it again")


def _count(word: str, path: Path) -> int:
    count = float(parse_floats([word], (1,), path, "a count")[0])
    if not 0 <= count <= MAX_ENTRIES or count != math.floor(count):
        raise CaptureError(path, f"expected a count from 0 to {MAX_ENTRIES}, got {word[:40]!r}")
    return int(count)


def _block(lines: Iterator[list[str]], key: str, path: Path) -> Iterator[list[str]]:
    for _ in range(_count(_seek(lines, key, path), path)):
        yield _words(lines, path, 1)


def _words(lines: Iterator[list[str]], path: Path, count: int) -> list[str]:
    """The words of the next line, at least ``count``."""
    words = next(lines, [])
    if len(words) < count:
        raise CaptureError(path, f"ends early, or has {words!r:.60} where {count} words were expected; copy it again")
    return words
