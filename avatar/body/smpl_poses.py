"""Poses of the SMPL family in the conventions of its files, to poses of ours and back.

A file's pose is a rotation vector a joint in the axes of the model, y up and facing +z at rest. With ``F`` the turn
from those to the axes of the house and ``J0`` the pelvis of the shape at rest, both in the file's axes:

* ``smplx`` and most sets: ``v_world = exp(g) (v - J0) + J0 + transl``, about the pelvis;
* EasyMocap and ZJU-MoCap: ``v_world = exp(Rh) v + Th``, about the origin of the model, after the root's own rotation.

Ours: ``R_root = exp(g) F^T``, ``R_j = F exp(theta_j) F^T``, and the root joint stands where either puts it. The world
is that of the file: a set whose world is not z-up is turned as a whole by its reader.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import (
    axis_angles_from_quats,
    conjugate_quats,
    multiply_quats,
    quats_from_axis_angles,
    rotate_points,
)
from avatar.structs import Pose, Shape

from .smpl import SmplBody

QUARTER_TURN = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)  # from the file's axes to those of the house, about x
NUM_BODY, NUM_HAND = 22, 15  # joints without hands, and of a hand of SMPL-H and SMPL-X
EASYMOCAP_HANDS = 6
FACE = ("jaw_pose", "leye_pose", "reye_pose")


def pose_from_axis_angles(
    body: SmplBody, axis_angles: Float[Tensor, "*f j 3"], transl: Float[Tensor, "*f 3"], shape: Shape
) -> Pose:
    """Our pose from the rotation vectors of all joints and the translation of ``smplx``."""
    turn = axis_angles.new_tensor(QUARTER_TURN)
    root = multiply_quats(quats_from_axis_angles(axis_angles[..., 0, :]), conjugate_quats(turn))
    others = quats_from_axis_angles(rotate_points(turn, axis_angles[..., 1:, :]))
    return Pose(
        local_quats=torch.cat([root[..., None, :], others], -2), root_position_world=transl + _pelvis(body, shape)
    )


def axis_angles_from_pose(
    body: SmplBody, pose: Pose, shape: Shape
) -> tuple[Float[Tensor, "*f j 3"], Float[Tensor, "*f 3"]]:
    """The inverse of ``pose_from_axis_angles``; angles are at most pi."""
    turn = pose.local_quats.new_tensor(QUARTER_TURN)
    root = axis_angles_from_quats(multiply_quats(pose.local_quats[..., 0, :], turn))
    others = rotate_points(conjugate_quats(turn), axis_angles_from_quats(pose.local_quats[..., 1:, :]))
    return torch.cat([root[..., None, :], others], -2), pose.root_position_world - _pelvis(body, shape)


def pose_from_smplx(
    body: SmplBody, parameters: Mapping[str, Float[Tensor, "*f d"]], shape: Shape, flat_hand_mean: bool = False
) -> Pose:
    """Our pose from the arguments that ``smplx`` takes, by their names there.

    ``global_orient``, ``body_pose``, ``left_hand_pose``, ``right_hand_pose``, ``jaw_pose``, ``leye_pose``,
    ``reye_pose``, ``transl``; what is missing is zero, other names are ignored. Hand poses of fewer than 45 numbers are
    coefficients of the model's principal poses. As in ``smplx``, the mean hand pose is added unless ``flat_hand_mean``.
    Raises ValueError for parameters of another size.
    """
    known = next((value for name, value in parameters.items() if name in ("global_orient", "body_pose")), None)
    if known is None:
        raise ValueError("parameters: expected global_orient or body_pose, got neither")
    num_joints = len(body.parents)

    def given(name: str, size: int) -> Tensor:
        value = parameters.get(name)
        value = known.new_zeros(*known.shape[:-1], size) if value is None else value
        if value.shape[-1] != size:
            raise ValueError(f"{name}: expected {size} numbers a frame, got {value.shape[-1]}")
        return value

    root = given("global_orient", 3)
    match body.kind:
        case "smpl":
            flat = [root, given("body_pose", 3 * (num_joints - 1))]
        case "smplh" | "smplx":
            face = [given(name, 3) for name in FACE] if body.kind == "smplx" else []
            none = known.new_zeros(*known.shape[:-1], 3 * NUM_HAND)
            hands = [parameters.get(f"{side}_hand_pose", none) for side in ("left", "right")]
            hands = [hand_pose(body, hand, side, flat_hand_mean) for side, hand in enumerate(hands)]
            flat = [root, given("body_pose", 3 * (NUM_BODY - 1)), *face, *hands]
    return pose_from_axis_angles(body, torch.cat(flat, -1).unflatten(-1, (num_joints, 3)), given("transl", 3), shape)


def smplx_from_pose(body: SmplBody, pose: Pose, shape: Shape, flat_hand_mean: bool = False) -> dict[str, Tensor]:
    """The inverse of ``pose_from_smplx``; hands come as 45 numbers, for ``use_pca=False``."""
    axis_angles, transl = axis_angles_from_pose(body, pose, shape)
    found = {"global_orient": axis_angles[..., 0, :], "transl": transl}
    if body.kind == "smpl":
        return found | {"body_pose": axis_angles[..., 1:, :].flatten(-2)}
    found["body_pose"] = axis_angles[..., 1:NUM_BODY, :].flatten(-2)
    if body.kind == "smplx":
        found |= {name: axis_angles[..., NUM_BODY + row, :] for row, name in enumerate(FACE)}
    hands = axis_angles[..., -2 * NUM_HAND :, :].unflatten(-2, (2, NUM_HAND)).flatten(-2)
    hands = hands if flat_hand_mean else hands - body.hand_means.to(hands)
    return found | {f"{side}_hand_pose": hands[..., row, :] for row, side in enumerate(("left", "right"))}


def pose_from_rh_th(
    body: SmplBody, poses: Float[Tensor, "*f d"], rh: Float[Tensor, "*f 3"], th: Float[Tensor, "*f 3"], shape: Shape
) -> Pose:
    """Our pose from the files of EasyMocap and ZJU-MoCap.

    ``poses`` holds every joint, with the root or without; of SMPL-H 78 and of SMPL-X 87 numbers are read as well, six
    principal coefficients a hand (to which the mean is added) and then the face. Raises ValueError for another number.
    """
    axis_angles = _easymocap_axis_angles(body, poses)
    turned = quats_from_axis_angles(rh)
    root = axis_angles_from_quats(multiply_quats(turned, quats_from_axis_angles(axis_angles[..., 0, :])))
    pelvis = _pelvis(body, shape)
    transl = th + rotate_points(turned, pelvis) - pelvis
    return pose_from_axis_angles(body, torch.cat([root[..., None, :], axis_angles[..., 1:, :]], -2), transl, shape)


def rh_th_from_pose(
    body: SmplBody, pose: Pose, shape: Shape
) -> tuple[Float[Tensor, "*f d"], Float[Tensor, "*f 3"], Float[Tensor, "*f 3"]]:
    """Poses of every joint, with a root of zero, ``Rh`` and ``Th``, as the files of ZJU-MoCap have them."""
    axis_angles, transl = axis_angles_from_pose(body, pose, shape)
    rh, pelvis = axis_angles[..., 0, :], _pelvis(body, shape)
    th = transl + pelvis - rotate_points(quats_from_axis_angles(rh), pelvis)
    others = axis_angles[..., 1:, :]
    return torch.cat([torch.zeros_like(others[..., :1, :]), others], -2).flatten(-2), rh, th


def hand_pose(body: SmplBody, values: Float[Tensor, "*f d"], side: int, flat_hand_mean: bool) -> Float[Tensor, "*f 45"]:
    """Rotation vectors of the left (0) or right (1) hand from themselves or from principal coefficients."""
    count, components = values.shape[-1], body.hand_components[side].to(values)
    if count != 3 * NUM_HAND and count > len(components):
        raise ValueError(f"hand pose: expected 45 numbers or at most {len(components)} coefficients, got {count}")
    values = values if count == 3 * NUM_HAND else values @ components[:count]
    return values if flat_hand_mean else values + body.hand_means[side].to(values)


def _easymocap_axis_angles(body: SmplBody, poses: Tensor) -> Tensor:
    full = 3 * len(body.parents)
    sizes = {"smpl": full, "smplh": 3 * NUM_BODY + 2 * EASYMOCAP_HANDS, "smplx": 3 * NUM_BODY + 2 * EASYMOCAP_HANDS + 9}
    if poses.shape[-1] == full - 3:
        poses = torch.cat([torch.zeros_like(poses[..., :3]), poses], -1)
    elif poses.shape[-1] == sizes[body.kind] < full:
        first, left, right, face = poses.split([3 * NUM_BODY, 6, 6, poses.shape[-1] - 3 * NUM_BODY - 12], -1)
        hands = [hand_pose(body, hand, side, flat_hand_mean=False) for side, hand in enumerate((left, right))]
        poses = torch.cat([first, face, *hands], -1)
    if poses.shape[-1] != full:
        raise ValueError(f"poses: expected {full} numbers a frame for {body.kind}, got {poses.shape[-1]}")
    return poses.unflatten(-1, (-1, 3))


def _pelvis(body: SmplBody, shape: Shape) -> Float[Tensor, "3"]:
    """``J0`` in the file's axes."""
    turn = body.joints.base.new_tensor(QUARTER_TURN)
    return rotate_points(conjugate_quats(turn), body.joints_rest(shape)[0])
