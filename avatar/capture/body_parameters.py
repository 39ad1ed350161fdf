"""Body parameter files, ``.npz`` of plain arrays, to :class:`Shape` and :class:`Pose`.

Two forms are read. Ours holds the two records field by field. The other holds what the ``anny`` package takes for its
default rig: ``pose`` in its ``local-ref`` convention (``anny.utils.kinematics.forward_kinematic``), the rotations of
the joints from the rig's reference pose. :class:`Pose` counts from the rest pose, and the way between the two depends
on the person's shape, so only the body model knows it: the caller passes ``AnnyBody.pose_from_local_ref``. The root's
block ``[D_0 | d_0]`` is its pose in the world, the joint at ``d_0``.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import normalize_quats
from avatar.structs import Pose, Shape

from .errors import CaptureError
from .files import read_npz

Arrays = dict[str, np.ndarray]
# ``[f j 4 4]`` poses of Anny's default rig in its local-ref convention, and the person's shape, to poses of ours.
PoseFromLocalRef = Callable[[Tensor, Shape], Pose]

ANNY_JOINTS = 104

ANNY_SETTINGS = {"rig": "anny", "topology": "anny", "pose_parameterization": "local-ref"}
NEEDS = "fit the body again or restore the file"


def read_body(path: Path, pose_from_local_ref: PoseFromLocalRef | None = None) -> tuple[Shape, Pose]:
    """The shape and the poses in a body parameter file, float32.

    ``pose_from_local_ref`` is needed for files in Anny's form. Raises MissingFileError, or CaptureError when the file
    is broken, of another rig, or holds NaN or no rotations.
    """
    arrays = read_npz(path)
    if "local_quats" in arrays:
        return _house_body(arrays, path)
    if "pose" not in arrays:
        raise CaptureError(path, f"has neither 'local_quats' (our form) nor 'pose' (Anny's form); {NEEDS}")
    if pose_from_local_ref is None:
        raise CaptureError(
            path, "holds Anny's poses; pass pose_from_local_ref=avatar.body.load_body().pose_from_local_ref"
        )
    shape, local_ref = _anny_body(arrays, path)
    try:
        return shape, pose_from_local_ref(torch.from_numpy(local_ref).float(), shape)
    except ValueError as error:
        raise CaptureError(path, f"does not fit the body model: {error}") from error


def write_body(path: Path, shape: Shape, poses: Pose) -> None:
    """Write a sequence of poses and the shape in our own form."""
    np.savez_compressed(
        path,
        shape_names=np.array(shape.names),
        shape_values=shape.values.numpy(force=True),
        local_quats=poses.local_quats.numpy(force=True),
        root_position_world=poses.root_position_world.numpy(force=True),
    )


def _house_body(arrays: Arrays, path: Path) -> tuple[Shape, Pose]:
    quats = _numbers(arrays, "local_quats", (None, None, 4), path)
    if (joint := _first(np.abs(np.linalg.norm(quats, axis=-1) - 1) > 1e-3)) is not None:
        raise CaptureError(path, f"local_quats{joint}: expected a unit quaternion; {NEEDS}")
    root = _numbers(arrays, "root_position_world", (len(quats), 3), path)
    pose = Pose(
        local_quats=normalize_quats(torch.from_numpy(quats)).float(), root_position_world=torch.from_numpy(root).float()
    )
    return _shape(arrays, "shape_names", "shape_values", path), pose


def _anny_body(arrays: Arrays, path: Path) -> tuple[Shape, Float[np.ndarray, "f j 4 4"]]:
    """The shape, and the rigid transforms ``[D_j | d_j]`` with the root's in the world."""
    for key, expected in ANNY_SETTINGS.items():
        if (found := str(arrays.get(key, "nothing"))[:40]) != expected:
            raise CaptureError(
                path, f"{key}: expected {expected!r}, got {found!r}; use the default rig's body_default.npz"
            )
    pose = _numbers(arrays, "pose", (None, ANNY_JOINTS, 4, 4), path)
    if "frames" in arrays and not np.array_equal(arrays["frames"], np.arange(len(pose))):
        raise CaptureError(
            path, "frames: expected 0, 1, 2 and so on, one for each pose; store every time step in order"
        )
    for key in ("world_from_anny", "world_from_model"):
        if key in arrays:
            pose[:, 0] = _numbers(arrays, key, (4, 4), path) @ pose[:, 0]
    rotations = pose[..., :3, :3]
    error = np.abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max(axis=(-1, -2))
    if (joint := _first((error > 1e-3) | (np.linalg.det(rotations) < 0))) is not None:
        raise CaptureError(path, f"pose{joint}: expected a rotation; {NEEDS}")
    if (joint := _first(np.abs(pose[:, 1:, :3, 3]).max(axis=-1) > 1e-3)) is not None:
        raise CaptureError(path, f"pose{joint}: only the root may move, other joints turn; {NEEDS}")
    names, values = (
        ("phenotype_names", "phenotype_values") if "phenotype_names" in arrays else ("phenotype_labels", "phenotype")
    )
    return _shape(arrays, names, values, path), pose


def _shape(arrays: Arrays, names_key: str, values_key: str, path: Path) -> Shape:
    values = _numbers(arrays, values_key, (None,), path)
    names = arrays.get(names_key, np.zeros(0))
    if names.dtype.kind != "U" or names.shape != values.shape:
        raise CaptureError(path, f"{names_key}: expected one name for each of {values.size} values; {NEEDS}")
    return Shape(names=tuple(str(name) for name in names), values=torch.from_numpy(values).float())


def _numbers(arrays: Arrays, key: str, shape: tuple[int | None, ...], path: Path) -> Float[np.ndarray, "..."]:
    """``arrays[key]`` as float64 when it is finite and of ``shape``, where None is any length but zero."""
    array = arrays.get(key)
    if array is None:
        raise CaptureError(path, f"has no {key!r}; {NEEDS}")
    fits = len(array.shape) == len(shape) and all(n == m if m else n for n, m in zip(array.shape, shape, strict=True))
    if array.dtype.kind not in "fiu" or not fits:
        wanted = tuple(length or "any" for length in shape)
        raise CaptureError(
            path, f"{key}: expected numbers of shape {wanted}, got {array.dtype} of {array.shape}; {NEEDS}"
        )
    if (place := _first(~np.isfinite(array))) is not None:
        raise CaptureError(path, f"{key}{place}: expected a finite number, got {array[tuple(place)]}; {NEEDS}")
    return array.astype(np.float64)


def _first(is_wrong: np.ndarray) -> list[int] | None:
    """The index of the first true entry, or None."""
    places = np.argwhere(is_wrong)
    return places[0].tolist() if len(places) else None
