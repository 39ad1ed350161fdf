"""Poses under the keywords of the package ``smplx``, one row a time step: what most recent sets come with.

``betas, global_orient, transl, body_pose`` and, in SMPL-X, ``jaw_pose, leye_pose, reye_pose, left_hand_pose,
right_hand_pose``; or ``thetas``, which is the first and third of SMPL in one. Hands are absolute (``flat_hand_mean``).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .errors import CaptureError
from .smpl_poses import SmplPoses
from .tables import numbers

# Rotation vectors after those of root and body, in the order of the model's joints, and their widths.
FACE_AND_HANDS = {"jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "left_hand_pose": 45, "right_hand_pose": 45}
MOST_BETAS = 300


def poses_from_keywords(values: Mapping[str, object], rig: str, path: Path) -> SmplPoses:
    """The poses in ``values``, which are those of the file ``path``; missing parts of face and hands are at rest.

    ``rig`` says the model: ``smpl_...`` or ``smplx_...``. Raises CaptureError, which names what is missing or wrong.
    """
    offsets = numbers(values, "transl", (None, 3), path)
    frames, is_smplx = len(offsets), rig.startswith("smplx")
    if "thetas" in values:
        turns = numbers(values, "thetas", (frames, 72), path)
    else:
        root = numbers(values, "global_orient", (frames, 3), path)
        turns = np.hstack([root, numbers(values, "body_pose", (frames, 63 if is_smplx else 69), path)])
    if is_smplx:
        rest = [
            numbers(values, key, (frames, width), path) if key in values else np.zeros((frames, width))
            for key, width in FACE_AND_HANDS.items()
        ]
        turns = np.hstack([turns, *rest])
    return SmplPoses.checked(
        path,
        rig=rig,
        betas=read_betas(values, frames, path),
        turns=turns,
        offsets=offsets,
        placement="about_pelvis",
    )


def read_betas(values: Mapping[str, object], frames: int, path: Path) -> Float[np.ndarray, "_ b"]:
    """``betas``, of the sequence or of every one of its ``frames``."""
    betas = values.get("betas")
    if isinstance(betas, np.ndarray) and betas.ndim == 1:
        betas = betas[None]
    rows = numbers({"betas": betas}, "betas", (None, None), path)
    if len(rows) not in (1, frames) or rows.shape[1] > MOST_BETAS:
        raise CaptureError(path, f"betas: expected 1 or {frames} rows of at most {MOST_BETAS}, got {rows.shape}")
    return rows
