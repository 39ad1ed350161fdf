"""The skeletons of SMPL, SMPL-H and SMPL-X, and the axes in which their files are written.

Source: Loper et al., "SMPL", 2015; Romero et al., "Embodied Hands", 2017; Pavlakos et al., "Expressive Body Capture",
2019. The files are licensed to each user and are neither shipped nor fetched here.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

Kind = Literal["smpl", "smplh", "smplx"]
Gender = Literal["neutral", "female", "male"]

SMPL_RIGS = tuple(f"{kind}_{gender}" for kind in get_args(Kind) for gender in get_args(Gender))
"""The names of the rigs that users bring themselves."""

_BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_HANDS = tuple(f"{side}_{name}{link}" for side in ("left", "right") for name in _FINGERS for link in (1, 2, 3))
JOINT_NAMES: dict[Kind, tuple[str, ...]] = {
    "smpl": (*_BODY, "left_hand", "right_hand"),
    "smplh": (*_BODY, *_HANDS),
    "smplx": (*_BODY, "jaw", "left_eye", "right_eye", *_HANDS),
}
"""The joints of each model, in the order of its files."""

_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def parents_of(kind: Kind) -> tuple[int, ...]:
    """The parent of each joint of ``JOINT_NAMES[kind]``, -1 for the pelvis."""
    wrists = _BODY.index("left_wrist"), _BODY.index("right_wrist")
    first_finger = len(JOINT_NAMES[kind]) - len(_HANDS)
    fingers = [
        wrists[row // 15] if row % 3 == 0 else first_finger + row - 1 for row in range(len(_HANDS))
    ]  # fifteen joints a hand, three a finger
    match kind:
        case "smpl":
            return (*_PARENTS, *wrists)
        case "smplh":
            return (*_PARENTS, *fingers)
        case "smplx":
            return (*_PARENTS, *([_BODY.index("head")] * 3), *fingers)


def house_axes(values: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "..."]:
    """``x y z`` along ``axis``, with y up and the body facing +z as the files have it, turned to z up and facing -y."""
    signs = np.ones(values.ndim, dtype=int)
    signs[axis] = 3
    return np.take(values, [0, 2, 1], axis) * np.array([1.0, -1.0, 1.0]).reshape(signs)
