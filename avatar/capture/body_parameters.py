"""Body parameter files, ``.npz`` of plain arrays, to :class:`BodyParameters`.

Three forms are read. Ours holds the records field by field. The others come with poses of the ``anny`` package:

* of any rig, with what skins by hand: ``rotation_rest_to_posed`` (``G_j``) and ``joints_world``, so that
  ``R_j = G_parent^T G_j``. Such a file says exactly what the body was, and nothing but itself is needed to read it.
* of the default rig: ``pose`` in its ``local-ref`` convention (``anny.utils.kinematics.forward_kinematic``), the
  rotations of the joints from the rig's reference pose. :class:`Pose` counts from the rest pose, and the way between
  the two depends on the person's shape, so only the body model knows it: the caller passes
  ``AnnyBody.pose_from_local_ref``. The root's block ``[D_0 | d_0]`` is its pose in the world, the joint at ``d_0``.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import normalize_quats, quats_from_matrices
from avatar.structs import Pose, Shape

from .errors import FIT_BODY, CaptureError, MissingFileError
from .files import inside, read_npz
from .tables import NEEDS, first_place, numbers

Arrays = dict[str, np.ndarray]
# ``[f j 4 4]`` poses of Anny's default rig in its local-ref convention, and the person's shape, to poses of ours.
PoseFromLocalRef = Callable[[Tensor, Shape], Pose]

DEFAULT_RIG = "anny"
ANNY_JOINTS = 104
ANNY_SETTINGS = {"rig": DEFAULT_RIG, "topology": "anny", "pose_parameterization": "local-ref"}
ROUNDING = 1e-6  # as far as rounding to float32 takes the length of a unit quaternion from one


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyParameters:
    """What a body parameter file holds.

    Attributes:
        rig: which skeleton the poses are of.
        shape: body shape, constant over the capture.
        poses: the pose of every time step.
    """

    rig: str
    shape: Shape
    poses: Pose


def find_body(folder: Path, rigs: Collection[str]) -> Path:
    """``body.npz`` where it is alone or says that it is of one of ``rigs``, else ``body_default.npz``.

    Where a capture has both, the former is exact and the latter fitted to it. Raises MissingFileError where it has
    none, and CaptureError when ``body.npz`` is broken.
    """
    exact, fitted = inside(folder, "body.npz"), inside(folder, "body_default.npz")
    if not exact.exists() and not fitted.exists():
        raise MissingFileError(fitted, f"no such file, nor body.npz: there is no body yet; {FIT_BODY}")
    is_usable = exact.exists() and (str(read_npz(exact).get("rig")) in rigs or not fitted.exists())
    return exact if is_usable else fitted


def read_body(path: Path, pose_from_local_ref: PoseFromLocalRef | None = None) -> BodyParameters:
    """The rig, the shape and the poses in a body parameter file, float32.

    ``pose_from_local_ref`` is needed for files of Anny's default rig in its ``local-ref`` form. Raises
    MissingFileError, or CaptureError when the file is broken, of an unknown form, or holds NaN or no rotations.
    """
    arrays = read_npz(path)
    if "local_quats" in arrays:
        return _house_body(arrays, path)
    if "rotation_rest_to_posed" in arrays:
        return _exact_body(arrays, path)
    if "pose" not in arrays:
        raise CaptureError(path, f"has neither 'local_quats' (our form) nor 'pose' (Anny's form); {NEEDS}")
    if pose_from_local_ref is None:
        raise CaptureError(
            path, "holds Anny's poses; pass pose_from_local_ref=avatar.body.load_body().pose_from_local_ref"
        )
    shape, local_ref = _anny_body(arrays, path)
    try:
        poses = pose_from_local_ref(torch.from_numpy(local_ref).float(), shape)
    except ValueError as error:
        raise CaptureError(path, f"does not fit the body model: {error}") from error
    return BodyParameters(rig=DEFAULT_RIG, shape=shape, poses=poses)


def write_body(path: Path, body: BodyParameters) -> None:
    """Write a rig's name, a shape and a sequence of poses in our own form."""
    np.savez_compressed(
        path,
        rig=np.array(body.rig),
        shape_names=np.array(body.shape.names),
        shape_values=body.shape.values.numpy(force=True),
        local_quats=body.poses.local_quats.numpy(force=True),
        root_position_world=body.poses.root_position_world.numpy(force=True),
    )


def _house_body(arrays: Arrays, path: Path) -> BodyParameters:
    quats = numbers(arrays, "local_quats", (None, None, 4), path)
    error = np.abs(np.linalg.norm(quats, axis=-1) - 1)
    if (joint := first_place(error > 1e-3)) is not None:
        raise CaptureError(path, f"local_quats{joint}: expected a unit quaternion; {NEEDS}")
    given = torch.from_numpy(quats)
    is_unit = torch.from_numpy(error < ROUNDING)[..., None]  # kept as they are: what was written is read to the bit
    root = numbers(arrays, "root_position_world", (len(quats), 3), path)
    poses = Pose(
        local_quats=torch.where(is_unit, given, normalize_quats(given)).float(),
        root_position_world=torch.from_numpy(root).float(),
    )
    return BodyParameters(rig=_rig(arrays), shape=_shape(arrays, "shape_names", "shape_values", path), poses=poses)


def _exact_body(arrays: Arrays, path: Path) -> BodyParameters:
    """Poses from the joints' rotations from rest and their places, both in the world."""
    turns = numbers(arrays, "rotation_rest_to_posed", (None, None, 3, 3), path)
    frames, joints = turns.shape[:2]
    _check_frames(arrays, frames, path)
    parents = _parents(arrays, joints, path)
    rest = numbers(arrays, "rest_bone_heads", (joints, 3), path)
    world = _world_from_file(arrays, path)
    turns = world[:3, :3] @ turns
    places = numbers(arrays, "joints_world", (frames, joints, 3), path) @ world[:3, :3].T + world[:3, 3]
    _check_rotations(turns, "rotation_rest_to_posed", path)
    bones = np.einsum("fjxy,jy->fjx", turns[:, parents], rest[1:] - rest[parents])
    if (joint := first_place(np.linalg.norm(places[:, parents] + bones - places[:, 1:], axis=-1) > 1e-3)) is not None:
        where = f"joints_world[{joint[0]}, {joint[1] + 1}]"
        raise CaptureError(path, f"{where}: expected the joint within 1 mm of where its parent holds it; {NEEDS}")
    local = np.concatenate([turns[:, :1], turns[:, parents].swapaxes(-1, -2) @ turns[:, 1:]], axis=1)
    poses = Pose(
        local_quats=quats_from_matrices(torch.from_numpy(local)).float(),
        root_position_world=torch.from_numpy(places[:, 0]).float(),
    )
    return BodyParameters(rig=_rig(arrays), shape=_phenotype(arrays, path), poses=poses)


def _anny_body(arrays: Arrays, path: Path) -> tuple[Shape, Float[np.ndarray, "f j 4 4"]]:
    """The shape, and the rigid transforms ``[D_j | d_j]`` with the root's in the world."""
    for key, expected in ANNY_SETTINGS.items():
        if (found := str(arrays.get(key, "nothing"))[:40]) != expected:
            raise CaptureError(
                path,
                f"{key}: expected {expected!r}, got {found!r}; other poses need rotation_rest_to_posed beside them",
            )
    pose = numbers(arrays, "pose", (None, ANNY_JOINTS, 4, 4), path)
    _check_frames(arrays, len(pose), path)
    pose[:, 0] = _world_from_file(arrays, path) @ pose[:, 0]
    _check_rotations(pose[..., :3, :3], "pose", path)
    if (joint := first_place(np.abs(pose[:, 1:, :3, 3]).max(axis=-1) > 1e-3)) is not None:
        raise CaptureError(path, f"pose{joint}: only the root may move, other joints turn; {NEEDS}")
    return _phenotype(arrays, path), pose


def _rig(arrays: Arrays) -> str:
    return str(arrays.get("rig", DEFAULT_RIG))[:40]


def _parents(arrays: Arrays, joints: int, path: Path) -> np.ndarray:
    """The parent of every joint but the root."""
    parents = numbers(arrays, "bone_parents", (joints,), path)
    is_before = (parents >= 0) & (parents < np.arange(joints)) & (parents % 1 == 0)
    if parents[0] >= 0 or not is_before[1:].all():
        raise CaptureError(path, f"bone_parents: expected -1 for the root, then a joint before each; {NEEDS}")
    return parents[1:].astype(np.int64)


def _world_from_file(arrays: Arrays, path: Path) -> Float[np.ndarray, "4 4"]:
    """What the file's poses are still to be moved by."""
    world = np.eye(4)
    for key in ("world_from_anny", "world_from_model"):
        if key in arrays:
            world = numbers(arrays, key, (4, 4), path) @ world
    return world


def _check_frames(arrays: Arrays, frames: int, path: Path) -> None:
    if "frames" in arrays and not np.array_equal(arrays["frames"], np.arange(frames)):
        raise CaptureError(
            path, "frames: expected 0, 1, 2 and so on, one for each pose; store every time step in order"
        )


def _check_rotations(rotations: Float[np.ndarray, "f j 3 3"], key: str, path: Path) -> None:
    error = np.abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max(axis=(-1, -2))
    if (joint := first_place((error > 1e-3) | (np.linalg.det(rotations) < 0))) is not None:
        raise CaptureError(path, f"{key}{joint}: expected a rotation; {NEEDS}")


def _phenotype(arrays: Arrays, path: Path) -> Shape:
    """The shape under either of two pairs of keys."""
    if "phenotype_names" in arrays:
        return _shape(arrays, "phenotype_names", "phenotype_values", path)
    return _shape(arrays, "phenotype_labels", "phenotype", path)


def _shape(arrays: Arrays, names_key: str, values_key: str, path: Path) -> Shape:
    values = numbers(arrays, values_key, (None,), path)
    names = arrays.get(names_key, np.zeros(0))
    if names.dtype.kind != "U" or names.shape != values.shape:
        raise CaptureError(path, f"{names_key}: expected one name for each of {values.size} values; {NEEDS}")
    return Shape(names=tuple(str(name) for name in names), values=torch.from_numpy(values).float())
