"""Bodies of the SMPL family at the door: checked, and turned with their world."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.capture import CaptureError, SmplPoses
from avatar.capture.smpl_poses import no_body
from avatar.structs import Pose

PATH = Path("0.npy")
PELVIS = np.array([0.0, -0.25, 0.03])


def test_a_world_is_turned_with_its_bodies(
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    """The worked numbers of data_formats.md 1.4, in a world that points down."""
    turns = np.zeros((1, 24, 3))
    turns[0, 0], turns[0, 7] = [0.0, 0.0, np.pi / 2], [0.3, 0.2, 0.1]
    values = {"rig": "smpl_neutral", "betas": np.array([[1.0] * 10, [2.0] * 10]), "turns": turns}
    down = np.diag([1.0, -1.0, -1.0])
    about_origin = SmplPoses.checked(PATH, **values, offsets=np.array([[1.0, 2.0, 3.0]]), placement="about_origin")
    about_pelvis = SmplPoses.checked(PATH, **values, offsets=np.array([[1.25, 2.25, 3.0]]), placement="about_pelvis")
    for read in about_origin, about_pelvis:
        body = read.parameters(pose_from_smpl, down)
        assert_root(body.poses[0], turns[0, 0], np.array([1.25, 2.0, 3.03]), down)
        assert_joint(body.poses[0], 7, turns[0, 7])
        assert body.shape.names == tuple(f"beta_{index}" for index in range(10))
        assert body.shape.values.tolist() == [1.5] * 10


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"turns": np.zeros((2, 22, 3))}, "rotation vectors of 24 joints, got 132 numbers for 2 frames"),
        ({"turns": np.full((2, 24, 3), np.nan)}, "pose: expected finite"),
        ({"offsets": np.full((2, 3), 1e9)}, "place: expected finite"),
        ({"betas": np.full(10, np.inf)}, "shape: expected finite"),
    ],
)
def test_broken_bodies_are_refused(changes: dict[str, np.ndarray], problem: str) -> None:
    good = {"betas": np.zeros(10), "turns": np.zeros((2, 24, 3)), "offsets": np.zeros((2, 3))}
    with pytest.raises(CaptureError, match=rf"0\.npy: .*{problem}"):
        SmplPoses.checked(PATH, rig="smpl_neutral", placement="about_origin", **(good | changes))


def test_without_a_model_there_are_no_joints() -> None:
    body = no_body(7)
    assert (body.rig, body.poses.local_quats.shape, body.shape.names) == ("none", (7, 0, 4), ())
