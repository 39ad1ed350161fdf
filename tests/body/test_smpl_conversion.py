"""Bodies that users bring, converted: where both models are alike, nothing changes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body_conversion import ConversionConfig, convert
from avatar.geometry import quats_from_axis_angles
from avatar.structs import Pose

Bring = Callable[..., dict[str, np.ndarray]]
QUICK = ConversionConfig(num_points=120, rounds=1, person_steps=25, pose_steps=25)


def moves(rig: str, frames: int = 3) -> Pose:
    body = load_body(rig)
    turns = torch.zeros(frames, len(body.parents), 3)
    turns[:, 1:20] = 0.2 * torch.randn(frames, 19, 3, generator=torch.Generator().manual_seed(0))
    return Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.ones(frames, 3))


def test_smpl_with_hands_is_smpl(brought: Bring) -> None:
    for kind in ("smpl", "smplh"):
        brought(kind, is_rigid=True)
    source, target = load_body("smpl_neutral"), load_body("smplh_neutral")
    poses = moves("smpl_neutral")
    converted = convert(source, source.default_shape(), poses, target, QUICK)
    assert float(converted.report.joint_errors_m.max()) < 0.02
    found = target.shaped(converted.shape).posed(converted.poses[2]).joints_world[:22]
    wanted = source.shaped(source.default_shape()).posed(poses[2]).joints_world[:22]
    assert float((found - wanted).norm(dim=1).max()) < 0.02


@pytest.mark.parametrize("back", [False, True])
def test_anny_and_smpl(brought: Bring, back: bool) -> None:
    brought("smpl", is_rigid=True)
    rigs = ("smpl_neutral", "anny")
    source, target = (load_body(rig) for rig in (reversed(rigs) if back else rigs))
    poses = (
        moves("smpl_neutral", 2)
        if not back
        else Pose(local_quats=torch.stack([source.rest_pose().local_quats] * 2), root_position_world=torch.ones(2, 3))
    )
    converted = convert(source, source.default_shape(), poses, target, QUICK)
    assert converted.poses.local_quats.shape == (2, len(target.parents), 4)
    assert float(converted.report.joint_errors_m.mean()) < 0.05
