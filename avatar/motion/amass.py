"""Motions of the SMPL family: AMASS files of both generations, sequences like them, and ``.smpl`` files.

They hold rotations of SMPL's joints and a path, but no skeleton: that is in the model, which has a licence of its own.
A skeleton of our own stands in: joints of the same names in the same T-pose, of ordinary lengths written down here.
Rotations are carried over by the pose, and the path is scaled by the legs, so lengths matter little.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from avatar.arrays import ArrayFileError, unpack_npz
from avatar.geometry import conjugate_quats, multiply_quats, quats_from_axis_angles, quats_from_matrices, rotate_points
from avatar.structs import Clip, Skeleton

from .files import MAX_UNPACKED, MotionError, checked_rate, checked_size, finite

SINGLE_RATE_HZ = 30.0  # of one pose alone
RATE_KEYS = ("mocap_frame_rate", "mocap_framerate", "frameRate", "fps")
_CODEC_KEYS = ("bodyPose", "bodyTranslation", "headPose", "leftHandPose", "rightHandPose", "smplVersion")

# Parent and way from it in T-pose, centimetres: left, back, up. The other side is mirrored.
_TRUNK = {
    "pelvis": (None, (0, 0, 0)),
    "spine1": ("pelvis", (0, 2, 11)),
    "spine2": ("spine1", (0, 0, 14)),
    "spine3": ("spine2", (0, 0, 6)),
    "neck": ("spine3", (0, 2, 21)),
    "head": ("neck", (0, -4, 9)),
    "jaw": ("head", (0, -2, 0)),
}
_SIDED = {
    "hip": ("pelvis", (8, 0, -9)),
    "knee": ("hip", (3, -1, -39)),
    "ankle": ("knee", (0, 2, -41)),
    "foot": ("ankle", (2, -13, -6)),
    "collar": ("spine3", (7, 2, 12)),
    "shoulder": ("collar", (11, 0, 4)),
    "elbow": ("shoulder", (26, 1, 0)),
    "wrist": ("elbow", (25, 0, 0)),
    "eye_smplhf": ("head", (3, -7, 4)),
    **{
        f"{finger}{bone}": (f"{finger}{bone - 1}" if bone > 1 else "wrist", way if bone > 1 else base)
        for finger, base, way in (
            ("index", (10, -2, 0), (3, 0, 0)),
            ("middle", (10, 0, 0), (3, 0, 0)),
            ("pinky", (8, 4, 0), (2, 0, 0)),
            ("ring", (9, 2, 0), (3, 0, 0)),
            ("thumb", (3, -3, -1), (2, -2, 0)),
        )
        for bone in (1, 2, 3)
    },
}
_BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_FACE = ("jaw", "left_eye_smplhf", "right_eye_smplhf")
_HAND = tuple(f"{finger}{bone}" for finger in ("index", "middle", "pinky", "ring", "thumb") for bone in (1, 2, 3))
_HANDS = tuple(f"{side}_{name}" for side in ("left", "right") for name in _HAND)
_JOINTS_OF_WIDTH = {66: _BODY, 72: _BODY, 156: (*_BODY, *_HANDS), 165: (*_BODY, *_FACE, *_HANDS)}
"""Joints by how many numbers a pose has; of SMPL's 72 the last six, of whole hands, are left out."""

_PARTS = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
"""What newer AMASS files hold beside whole poses, in their order, and how many numbers a frame."""

Arrays = Mapping[str, np.ndarray]

_HOUSE_FROM_MODEL = ((1, 0, 0), (0, 0, -1), (0, 1, 0))  # the model's +Y is up, and it faces +Z


def read_smpl_motion(name: str, content: bytes, frame_rate_hz: float | None = None) -> Clip:
    """The clip in an AMASS-like ``.npz`` or a ``.smpl`` file.

    Raises MotionError, a ValueError of one line that names the file, when it is broken, or says no frame rate and
    neither does ``frame_rate_hz``. Which of the world's axes points up is seen from the motion: AMASS's is +Z, others
    keep SMPL's own +Y.
    """
    try:
        arrays = unpack_npz(content, MAX_UNPACKED, ("poses", "trans", *_PARTS, *_CODEC_KEYS, *RATE_KEYS))
    except ArrayFileError as error:
        raise MotionError(name, str(error)) from error
    poses, path = _codec(name, arrays) if "bodyPose" in arrays else _sequence(name, arrays)
    rate = _rate(name, arrays, len(poses), frame_rate_hz)
    names = _JOINTS_OF_WIDTH[poses.shape[1]]
    checked_size(name, len(poses), len(names))
    turns = quats_from_axis_angles(torch.from_numpy(poses).unflatten(1, (-1, 3))[:, : len(names)])
    axes = quats_from_matrices(torch.tensor(_HOUSE_FROM_MODEL, dtype=torch.float64))
    upright = rotate_points(turns[:, 0], torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)).mean(0)
    is_z_up = bool(upright[2] > upright[1])
    turns[:, 1:] = multiply_quats(multiply_quats(axes, turns[:, 1:]), conjugate_quats(axes))
    turns[:, 0] = multiply_quats(turns[:, 0], conjugate_quats(axes))
    places = torch.from_numpy(path)
    if not is_z_up:
        turns[:, 0], places = multiply_quats(axes, turns[:, 0]), rotate_points(axes, places)
    return Clip(
        name=name,
        skeleton=_skeleton(names),
        local_quats=turns,
        root_position_world=places,
        frame_rate_hz=rate,
        notes=(
            f"its {'+z' if is_z_up else '+y'} axis points up",
            "SMPL's joints are not in it: a skeleton of ordinary lengths in T-pose stands in",
        ),
    )


def _sequence(name: str, arrays: Arrays) -> tuple[Float[np.ndarray, "f d"], Float[np.ndarray, "f 3"]]:
    """Poses and path of an AMASS-like file."""
    if "trans" not in arrays:
        raise MotionError(name, "is no motion that is known: it has neither trans (AMASS) nor local_quats (ours)")
    path = _rows(name, arrays, "trans", 3)
    if "poses" in arrays:
        return _rows(name, arrays, "poses", *_JOINTS_OF_WIDTH, count=len(path)), path
    parts = [_rows(name, arrays, key, width, count=len(path)) for key, width in _PARTS.items() if key in arrays]
    poses = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0))
    if poses.shape[1] not in _JOINTS_OF_WIDTH:
        raise MotionError(name, f"has no poses, and too few numbers of {', '.join(_PARTS)}")
    return poses, path


def _codec(name: str, arrays: Arrays) -> tuple[Float[np.ndarray, "f d"], Float[np.ndarray, "f 3"]]:
    """Poses and path of a ``.smpl`` file, in which all but the body's poses may be missing."""
    version = arrays.get("smplVersion", np.zeros(()))
    if version.size != 1 or version.dtype.kind not in "iuf" or not 0 <= version.item() <= 2:
        raise MotionError(name, "smplVersion: expected 0 (SMPL), 1 (SMPL-H) or 2 (SMPL-X)")
    body = _rows(name, arrays, "bodyPose", 66)
    widths = {"headPose": 9, "leftHandPose": 45, "rightHandPose": 45, "bodyTranslation": 3}
    *others, path = (
        _rows(name, arrays, key, width, count=len(body)) if key in arrays else np.zeros((len(body), width))
        for key, width in widths.items()
    )
    return np.concatenate([body, *others], axis=1), path


def _rows(name: str, arrays: Arrays, key: str, *widths: int, count: int | None = None) -> Float[np.ndarray, "f d"]:
    """An array of one row a frame, each of one of these widths however it is folded."""
    array = arrays[key]
    width = math.prod(array.shape[1:]) if array.ndim > 1 else 0
    if array.dtype.kind not in "fiu" or width not in widths or not len(array) or count not in (None, len(array)):
        wanted = f"{'frames' if count is None else count} x {' or '.join(str(width) for width in widths)}"
        raise MotionError(name, f"{key}: expected {wanted} numbers, got {array.dtype} of {array.shape}")
    return finite(name, array.reshape(len(array), width).astype(np.float64))


def _rate(name: str, arrays: Arrays, frames: int, frame_rate_hz: float | None) -> float:
    for key in RATE_KEYS:
        if key in arrays:
            value = arrays[key]
            if value.size != 1 or value.dtype.kind not in "fiu":
                raise MotionError(name, f"{key}: expected one number, got {value.dtype} of {value.shape}")
            return checked_rate(name, float(value.item()))
    if frame_rate_hz is None and frames > 1:
        raise MotionError(
            name, f"has no {RATE_KEYS[0]} (or {RATE_KEYS[1]}): give its frame rate (avatar render --fps 30)"
        )
    return frame_rate_hz or SINGLE_RATE_HZ


def _skeleton(names: Sequence[str]) -> Skeleton:
    parents, places = [], []
    for name in names:
        side = next((side for side in ("left", "right") if name.startswith(side)), "")
        parent, way = _SIDED[name.removeprefix(f"{side}_")] if side else _TRUNK[name]
        row = -1 if parent is None else names.index(f"{side}_{parent}" if f"{side}_{parent}" in names else parent)
        step = torch.tensor(way, dtype=torch.float64) * 0.01
        step[0] *= -1 if side == "right" else 1
        parents.append(row)
        places.append(places[row] + step if row >= 0 else step)
    return Skeleton(joint_names=tuple(names), parents=tuple(parents), joints_rest=torch.stack(places))
