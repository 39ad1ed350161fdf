"""Clips in ``.npz`` files of our own, and the poses of a capture's body file as a clip.

Ours hold the records field by field, as they are: what is written is read back to the last bit.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from avatar.arrays import ArrayFileError, unpack_npz
from avatar.atomic import replacing
from avatar.geometry import quats_from_matrices
from avatar.structs import Clip, Skeleton

from .files import MAX_UNPACKED, MotionError, checked_rate, checked_size, finite, printable
from .hierarchy import local_turns

OWN_KEYS = ("joint_names", "parents", "joints_rest", "local_quats", "root_position_world", "frame_rate_hz")
BODY_KEYS = (
    *("bone_labels", "bone_parents", "rest_bone_heads", "rotation_rest_to_posed", "joints_world"),
    *("world_from_anny", "frame_rate"),
)


def write_clip(path: Path, clip: Clip) -> None:
    """Write a clip, whole or not at all."""
    skeleton = clip.skeleton
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            joint_names=np.array(skeleton.joint_names),
            parents=np.array(skeleton.parents, dtype=np.int64),
            joints_rest=skeleton.joints_rest.numpy(force=True),
            local_quats=clip.local_quats.numpy(force=True),
            root_position_world=clip.root_position_world.numpy(force=True),
            frame_rate_hz=np.array(clip.frame_rate_hz),
        )


def read_stored(name: str, content: bytes) -> Clip | None:
    """The clip in a file of ours, or in the body file of a capture; None when it is neither.

    Raises MotionError, a ValueError of one line that names the file, when it is broken.
    """
    try:
        arrays = unpack_npz(content, MAX_UNPACKED, {*OWN_KEYS, *BODY_KEYS})
    except ArrayFileError as error:
        raise MotionError(name, str(error)) from error
    if "local_quats" in arrays and "joint_names" in arrays:
        return _own_clip(name, arrays)
    return _body_clip(name, arrays) if "rotation_rest_to_posed" in arrays and "bone_labels" in arrays else None


def _own_clip(name: str, arrays: Mapping[str, np.ndarray]) -> Clip:
    names = _names(name, arrays, "joint_names")
    quats = _numbers(name, arrays, "local_quats", None, len(names), 4)
    checked_size(name, len(quats), len(names))
    if not (np.abs(np.linalg.norm(quats, axis=-1) - 1) < 1e-3).all():
        raise MotionError(name, "local_quats: expected unit quaternions")
    skeleton = Skeleton(
        joint_names=names,
        parents=_parents(name, arrays, "parents", len(names)),
        joints_rest=torch.from_numpy(_numbers(name, arrays, "joints_rest", len(names), 3)),
    )
    return Clip(
        name=name,
        skeleton=skeleton,
        local_quats=torch.from_numpy(quats),
        root_position_world=torch.from_numpy(_numbers(name, arrays, "root_position_world", len(quats), 3)),
        frame_rate_hz=checked_rate(name, float(_numbers(name, arrays, "frame_rate_hz"))),
    )


def _body_clip(name: str, arrays: Mapping[str, np.ndarray]) -> Clip:
    """Poses that are stored as the rotations and places of the joints in the world."""
    names = _names(name, arrays, "bone_labels")
    count = len(names)
    turns = _numbers(name, arrays, "rotation_rest_to_posed", None, count, 3, 3).astype(np.float64)
    checked_size(name, len(turns), count)
    world = _numbers(name, {"world_from_anny": np.eye(4)} | dict(arrays), "world_from_anny", 4, 4).astype(np.float64)
    turns = world[:3, :3] @ turns
    if not (np.abs(turns @ turns.swapaxes(-1, -2) - np.eye(3)).max(axis=(-1, -2)) < 1e-3).all():
        raise MotionError(name, "rotation_rest_to_posed: expected rotations")
    places = _numbers(name, arrays, "joints_world", len(turns), count, 3)[:, 0].astype(np.float64)
    parents = _parents(name, arrays, "bone_parents", count)
    rest = _numbers(name, arrays, "rest_bone_heads", count, 3).astype(np.float64)
    return Clip(
        name=name,
        skeleton=Skeleton(joint_names=names, parents=parents, joints_rest=torch.from_numpy(rest)),
        local_quats=local_turns(parents, quats_from_matrices(torch.from_numpy(turns))),
        root_position_world=torch.from_numpy(places @ world[:3, :3].T + world[:3, 3]),
        frame_rate_hz=checked_rate(name, float(_numbers(name, arrays, "frame_rate"))),
    )


def _names(name: str, arrays: Mapping[str, np.ndarray], key: str) -> tuple[str, ...]:
    names = arrays[key]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise MotionError(name, f"{key}: expected a list of names, got {names.dtype} of {names.shape}")
    checked_size(name, 1, len(names))
    return tuple(printable(str(joint)) for joint in names)


def _parents(name: str, arrays: Mapping[str, np.ndarray], key: str, count: int) -> tuple[int, ...]:
    parents = _numbers(name, arrays, key, count)
    if parents[0] != -1 or not ((parents >= 0) & (parents < np.arange(count)) & (parents % 1 == 0))[1:].all():
        raise MotionError(name, f"{key}: expected -1 for the root, then for each joint one before it")
    return tuple(int(parent) for parent in parents)


def _numbers(name: str, arrays: Mapping[str, np.ndarray], key: str, *shape: int | None) -> Float[np.ndarray, "..."]:
    """A finite array of this shape, where None is any length but zero; whole numbers become others."""
    if key not in arrays:
        raise MotionError(name, f"has no {key}")
    array = arrays[key]
    fits = array.ndim == len(shape) and all(n == m if m else n for n, m in zip(array.shape, shape, strict=True))
    if array.dtype.kind not in "fiu" or not fits:
        wanted = " x ".join(str(length or "any") for length in shape) or "one"
        raise MotionError(name, f"{key}: expected {wanted} numbers, got {array.dtype} of {array.shape}")
    return finite(name, array if array.dtype in (np.float32, np.float64) else array.astype(np.float64))
