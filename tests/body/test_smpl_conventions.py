"""The capture room reads files of the SMPL family, the body room knows the models: they say the same of poses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body.smpl import SmplBody
from avatar.body.smpl_family import JOINT_NAMES, Kind
from avatar.body.smpl_poses import EASYMOCAP_HANDS, NUM_BODY, NUM_HAND, pose_from_rh_th, pose_from_smplx
from avatar.capture import SmplPoses
from avatar.capture.easymocap import MODELS, read_bodies
from avatar.capture.smpl_poses import JOINTS
from avatar.capture.smplx_keywords import FACE_AND_HANDS, poses_from_keywords
from avatar.captures import pose_from_smpl, smpl_from_pose
from avatar.structs import Pose, Shape

Bring = Callable[..., dict[str, np.ndarray]]
FRAMES = 3


def model(kind: str) -> SmplBody:
    body = load_body(f"{kind}_neutral", torch.float64)
    assert isinstance(body, SmplBody)
    return body


def assert_same(one: Pose, other: Pose) -> None:
    """The same rotations, up to the sign of their quaternions, and places."""
    signs = (one.local_quats * other.local_quats).sum(-1, keepdim=True).sign()
    torch.testing.assert_close(one.local_quats * signs, other.local_quats, atol=1e-9, rtol=0)
    torch.testing.assert_close(one.root_position_world, other.root_position_world, atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", JOINT_NAMES)
def test_both_count_the_same_joints(kind: Kind) -> None:
    assert JOINTS[kind] == len(JOINT_NAMES[kind])
    whole = {"smpl": 3 * 24, "smplh": 3 * (NUM_BODY + 2 * NUM_HAND), "smplx": 3 * (NUM_BODY + 3 + 2 * NUM_HAND)}
    assert MODELS[whole[kind]][0] == kind
    assert whole[kind] == 3 * JOINTS[kind]


@pytest.mark.parametrize("count", MODELS)
def test_bodies_of_easymocap(count: int, brought: Bring, tmp_path: Path) -> None:
    """Of every length that a row of poses may have."""
    kind, components = MODELS[count]
    brought(kind)
    assert components in (0, EASYMOCAP_HANDS)
    random = np.random.default_rng(count)
    values = {key: random.normal(0, 0.3, (FRAMES, size)) for key, size in (("Rh", 3), ("Th", 3), ("poses", count))}
    if count != 69:
        values["poses"][:, :3] = 0
    betas = random.normal(size=10)
    for frame in range(FRAMES):
        person = {key: rows[frame : frame + 1].tolist() for key, rows in values.items()}
        (tmp_path / f"{frame}.json").write_text(json.dumps([{"id": 0, "shapes": [betas.tolist()], **person}]))
    _, read = read_bodies([tmp_path / f"{frame}.json" for frame in range(FRAMES)])
    poses, rh, th = (torch.from_numpy(values[key]) for key in ("poses", "Rh", "Th"))
    shape = Shape(names=read.shape.names, values=torch.from_numpy(betas).float())
    assert_same(pose_from_smpl(read), pose_from_rh_th(model(kind), poses, rh, th, shape))


@pytest.mark.parametrize("kind", ["smpl", "smplx"])
def test_keywords_of_smplx(kind: str, brought: Bring) -> None:
    brought(kind)
    random = np.random.default_rng(5)
    sizes = (
        {"global_orient": 3, "transl": 3, "body_pose": 69}
        if kind == "smpl"
        else {"global_orient": 3, "transl": 3, "body_pose": 63, **FACE_AND_HANDS}
    )
    values = {key: random.normal(0, 0.3, (FRAMES, size)) for key, size in sizes.items()}
    betas = random.normal(size=(1, 10))
    read = poses_from_keywords({**values, "betas": betas}, f"{kind}_neutral", Path("smpl_params.npz"))
    tensors = {key: torch.from_numpy(rows) for key, rows in values.items()}
    assert_same(pose_from_smpl(read), pose_from_smplx(model(kind), tensors, read.shape, flat_hand_mean=True))


@pytest.mark.parametrize("kind", JOINT_NAMES)
def test_what_is_written_of_poses_is_what_is_read(kind: Kind, brought: Bring) -> None:
    brought(kind)
    random = np.random.default_rng(6)
    read = SmplPoses(
        rig=f"{kind}_neutral",
        betas=random.normal(size=10).astype(np.float32).astype(np.float64),
        turns=random.normal(0, 0.5, (FRAMES, JOINTS[kind], 3)),
        offsets=random.normal(size=(FRAMES, 3)),
        placement="about_origin",
    )
    written = smpl_from_pose(read.rig, pose_from_smpl(read), read.shape)
    np.testing.assert_allclose(written.turns, read.turns, atol=1e-12)
    np.testing.assert_allclose(written.offsets, read.offsets, atol=1e-12)
    np.testing.assert_array_equal(written.betas, read.betas)
