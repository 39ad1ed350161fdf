"""Bodies of the SMPL family: both ways to place them, by hand-worked numbers and by their formulas."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatar.capture import CaptureError
from avatar.capture.smpl_poses import HOUSE_FROM_MODEL, SmplPoses, no_body
from avatar.geometry import matrices_from_quats
from avatar.structs import Shape

PELVIS = np.array([0.0, -0.25, 0.03])
PATH = Path("0.npy")


def root_at_rest(rig: str, shape: Shape) -> torch.Tensor:
    """The pelvis of the worked example, in the house's axes."""
    assert (rig, shape.names[:2]) == ("smpl_neutral", ("beta_0", "beta_1"))
    return torch.from_numpy(HOUSE_FROM_MODEL @ PELVIS)


def poses(turns: np.ndarray, offsets: np.ndarray, placement: str) -> SmplPoses:
    """One or more frames that turn only the root."""
    joints = np.zeros((len(turns), 24, 3))
    joints[:, 0] = turns
    betas = np.zeros((len(turns), 10))
    assert placement in ("about_origin", "about_pelvis")
    return SmplPoses.checked(PATH, rig="smpl_neutral", betas=betas, turns=joints, offsets=offsets, placement=placement)


def placed(read: SmplPoses, vertex: np.ndarray, house_from_world: np.ndarray) -> np.ndarray:
    """Where a vertex that moves with the root comes to be, by the house's rules."""
    pose = read.parameters(root_at_rest, house_from_world).poses
    turns = matrices_from_quats(pose.local_quats[:, 0].double()).numpy()
    at_rest = HOUSE_FROM_MODEL @ (vertex - PELVIS)
    return turns @ at_rest + pose.root_position_world.double().numpy()


def test_the_worked_numbers() -> None:
    """data_formats.md 1.4."""
    turn, vertex = np.array([[0.0, 0.0, np.pi / 2]]), np.array([0.1, 0.2, 0.3])
    about_origin = poses(turn, np.array([[1.0, 2.0, 3.0]]), "about_origin")
    about_pelvis = poses(turn, np.array([[1.25, 2.25, 3.0]]), "about_pelvis")
    for read in about_origin, about_pelvis:
        np.testing.assert_allclose(placed(read, vertex, np.eye(3)), [[0.8, 2.1, 3.3]], atol=1e-6)


def test_both_placements_follow_their_formulas_in_a_turned_world() -> None:
    generator = np.random.default_rng(0)
    turns, offsets = generator.normal(size=(1000, 3)), generator.normal(size=(1000, 3))
    vertex, house = generator.normal(size=3), np.diag([1.0, -1.0, -1.0])
    matrices = Rotation.from_rotvec(turns).as_matrix()
    expected = matrices @ vertex + offsets
    np.testing.assert_allclose(
        placed(poses(turns, offsets, "about_origin"), vertex, house), expected @ house.T, atol=2e-6
    )
    expected = matrices @ (vertex - PELVIS) + PELVIS + offsets
    np.testing.assert_allclose(
        placed(poses(turns, offsets, "about_pelvis"), vertex, house), expected @ house.T, atol=2e-6
    )


def test_joints_turn_in_the_axes_of_the_house() -> None:
    """A knee bends about the model's x, which is the house's x; an arm turns about the model's y, the house's z."""
    joints = np.zeros((1, 24, 3))
    joints[0, 4, 0], joints[0, 16, 1] = 0.5, 0.25
    read = SmplPoses.checked(
        PATH,
        rig="smpl_neutral",
        betas=np.zeros(10),
        turns=joints,
        offsets=np.zeros((1, 3)),
        placement="about_origin",
    )
    quats = read.parameters(root_at_rest, np.eye(3)).poses.local_quats[0]
    torch.testing.assert_close(quats[4], torch.tensor([np.cos(0.25), np.sin(0.25), 0, 0]).float())
    torch.testing.assert_close(quats[16], torch.tensor([np.cos(0.125), 0, 0, np.sin(0.125)]).float())
    upright = matrices_from_quats(quats[0]) @ torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(upright, torch.tensor([0.0, 1.0, 0.0]), msg="without a turn the body is y-up")


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
