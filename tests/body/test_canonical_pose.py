"""The canonical pose spreads the legs outwards and moves nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.body import RIGS, load_body, spread_pose

LEFT, RIGHT = ("LeftUpLeg", "upperleg01.L"), ("RightUpLeg", "upperleg01.R")


@pytest.mark.parametrize("rig", RIGS)
def test_the_legs_turn_outwards_by_the_angle_and_all_else_stays(rig: str) -> None:
    model = load_body(rig)
    shaped = model.shaped(model.default_shape())
    rest, spread = (shaped.posed(pose) for pose in (shaped.rest_pose(), spread_pose(shaped)))
    for side, hip, ankle in ((1, LEFT, ("LeftFoot", "foot.L")), (-1, RIGHT, ("RightFoot", "foot.R"))):
        ends = [next(row for row, name in enumerate(model.joint_names) if name in names) for names in (hip, ankle)]
        before, after = (body.joints_world[ends[1]] - body.joints_world[ends[0]] for body in (rest, spread))
        angles = [math.atan2(side * float(leg[0]), -float(leg[2])) for leg in (before, after)]
        assert angles[1] - angles[0] == pytest.approx(math.pi / 6, abs=1e-5)
        assert float(after[1]) == pytest.approx(float(before[1]), abs=1e-6), "neither forwards nor backwards"
    moved = {row for row, name in enumerate(model.joint_names) if name in (*LEFT, *RIGHT)}
    for row, parent in enumerate(model.parents):
        moved |= {row} if parent in moved else set()
        if row not in moved:
            torch.testing.assert_close(spread.posed_from_rest[row], rest.posed_from_rest[row], atol=1e-6, rtol=0)


def test_a_rig_without_known_hips_is_refused() -> None:
    model = load_body("cmu_mb")
    shaped = model.shaped(model.default_shape())
    names = tuple(f"joint{row}" for row in range(len(model.parents)))
    with pytest.raises(ValueError, match=r"shaped\.rig: expected hips called one of"):
        spread_pose(replace(shaped, rig=replace(shaped.rig, joint_names=names)))
