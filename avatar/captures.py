"""Open a capture with the body model that fits it: what the capture and body rooms make together."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import (
    RIGS,
    SMPL_RIGS,
    SmplBody,
    hand_pose,
    installed_bodies,
    load_body,
    pose_from_axis_angles,
    pose_from_rh_th,
    rh_th_from_pose,
)
from avatar.capture import (
    FIT_BODY,
    NO_BODY,
    ZJU_RIG,
    FileOf,
    PictureConfig,
    SmplPoses,
    check_person,
    first_time_step,
    read_capture,
    write_zju_mocap,
)
from avatar.geometry import multiply_quats
from avatar.structs import Capture, Pose, Shape, map_tensors


def open_capture(
    folder: Path,
    split: str | None = None,
    pictures: PictureConfig | None = None,
    rigs: Collection[str] | None = None,
) -> Capture:
    """The capture in ``folder``, whose body is ``load_body(capture.rig)``.

    With ``split``, the pictures of that split must all be there. An exact body is read if its skeleton is one of
    ``rigs``, by default all that there are here, else the one of the default rig. The body of a published set must lie
    where its cameras see the person; it takes the body model, which users bring themselves. Raises FileNotFoundError or
    ValueError with one line that names the file and says what to do.
    """
    if rigs is None:  # where a body of the user's is missing, and nothing stands in for it, load_body says so
        rigs = (*RIGS, *(installed_bodies() if (folder / "body_default.npz").exists() else SMPL_RIGS))
    capture = read_capture(
        folder,
        split=split,
        pictures=pictures,
        pose_from_local_ref=load_body().pose_from_local_ref,
        pose_from_smpl=pose_from_smpl,
        rigs=rigs,
    )
    if capture.rig == NO_BODY:
        raise ValueError(f"{folder}: has pictures but no body yet; {FIT_BODY}")
    frame_id = first_time_step(capture)
    try:
        body = load_body(capture.rig).shaped(capture.shape).posed(capture.pose(frame_id))
    except ValueError as error:
        raise ValueError(f"{folder}: its body parameters do not fit the body model: {error}") from error
    if capture.rig.startswith("smpl"):
        check_person(capture, body, frame_id, folder)
    return capture


def pose_from_smpl(read: SmplPoses) -> Pose:
    """Our poses of those that a set stores, in the set's world, by the body model of their rig.

    Raises FileNotFoundError, which says how to bring the model, where the user has not.
    """
    body, shape = load_body(read.rig, torch.float64), read.shape
    if not isinstance(body, SmplBody):
        raise ValueError(f"rig: expected one of the SMPL family, found {read.rig!r}")
    turns, offsets = torch.from_numpy(read.turns), torch.from_numpy(read.offsets)
    if read.hands is not None:
        both = [hand_pose(body, torch.from_numpy(read.hands[:, side]), side, flat_hand_mean=False) for side in (0, 1)]
        turns = torch.cat([turns[:, :-30], torch.cat(both, dim=-1).unflatten(-1, (30, 3))], dim=1)
    match read.placement:
        case "about_pelvis":
            return pose_from_axis_angles(body, turns, offsets, shape)
        case "about_origin":
            return pose_from_rh_th(body, turns[:, 1:].flatten(1), turns[:, 0], offsets, shape)


def smpl_from_pose(rig: str, poses: Pose, shape: Shape) -> SmplPoses:
    """The inverse of ``pose_from_smpl``, about the origin, for a rig of the SMPL family; ValueError for another."""
    body = load_body(rig, torch.float64)
    if not isinstance(body, SmplBody):
        raise ValueError(f"rig: expected one of the SMPL family, found {rig!r}")
    shape = replace(shape, values=shape.values.double())
    flat, rh, th = rh_th_from_pose(body, map_tensors(poses, Tensor.double), shape)
    turns = flat.unflatten(-1, (-1, 3))
    return SmplPoses(
        rig=rig,
        betas=shape.values.numpy(),
        turns=torch.cat([rh[:, None], turns[:, 1:]], dim=1).numpy(),
        offsets=th.numpy(),
        placement="about_origin",
    )


def write_zju_capture(
    capture: Capture,
    folder: Path,
    *,
    pairs: Iterable[tuple[int, int]] | None = None,
    file_of: FileOf | None = None,
    on_picture: Callable[[], None] | None = None,
) -> None:
    """``write_zju_mocap`` with the vertices of the capture's body, and with its poses where it is that of the set.

    Raises what ``load_body`` and ``write_zju_mocap`` do.
    """
    body = load_body(capture.rig).shaped(capture.shape)

    def vertices_world(frame_id: int) -> Float[np.ndarray, "v 3"]:
        return body.posed(capture.poses[frame_id]).vertices_world.numpy()

    is_of_the_set = capture.rig == ZJU_RIG
    write_zju_mocap(
        capture,
        folder,
        vertices_world=vertices_world,
        smpl=smpl_from_pose(ZJU_RIG, upside_down(capture.poses), capture.shape) if is_of_the_set else None,
        pairs=pairs,
        file_of=file_of,
        on_picture=on_picture,
    )


def upside_down(poses: Pose) -> Pose:
    """The poses in a world whose z points down, or back: half a turn about x, which is exact."""
    half_turn = poses.local_quats.new_tensor([0.0, 1.0, 0.0, 0.0])
    root = multiply_quats(half_turn.expand_as(poses.local_quats[..., 0, :]), poses.local_quats[..., 0, :])
    return replace(
        poses,
        local_quats=torch.cat([root[..., None, :], poses.local_quats[..., 1:, :]], dim=-2),
        root_position_world=poses.root_position_world * poses.root_position_world.new_tensor([1.0, -1.0, -1.0]),
    )
