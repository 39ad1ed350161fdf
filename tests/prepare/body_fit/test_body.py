"""The template that is fitted: its landmarks, the joints that turn, and the start from points."""

import math

import pytest
import torch

from avatar.geometry import matrices_from_axis_angles
from avatar.prepare.body_fit.estimate import Estimate, Template
from avatar.prepare.body_fit.start import aligned, filled, start
from avatar.prepare.body_fit.terms import motion_cost
from avatar.prepare.skeleton import MIRROR, NAMES


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.load(50)


def turned(template: Template, name: str, axis: int, angle: float) -> torch.Tensor:
    """Landmarks of the middle person with one joint turned about one of its anatomical axes."""
    freedoms = template.freedoms
    row = freedoms.joints.tolist().index(template.body.joint_names.index(name))
    turns = torch.zeros(1, len(freedoms.joints), 3)
    turns[0, row] = angle * freedoms.axes[row, axis]
    return template.posed(standing(template, turns)).markers[0]


def standing(template: Template, turns: torch.Tensor) -> Estimate:
    return Estimate(
        shape=template.body.default_shape().values,
        offsets=torch.zeros(33, 3),
        root_quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(len(turns), 1),
        root_positions=torch.zeros(len(turns), 3),
        turns=turns,
    )


def test_landmarks_of_both_sides_mirror_each_other(template: Template) -> None:
    markers = turned(template, "head", 0, 0.0)
    assert (markers - markers[list(MIRROR)] * torch.tensor([-1.0, 1, 1])).abs().max() < 2e-3
    heights = {name: float(markers[NAMES.index(f"left_{name}"), 2]) for name in ("ear", "shoulder", "hip", "knee")}
    assert list(heights.values()) == sorted(heights.values(), reverse=True)


def test_knees_bend_backward_and_elbows_forward_and_up(template: Template) -> None:
    rest, bent = (turned(template, "lowerleg01.L", 0, angle) for angle in (0.0, math.radians(60)))
    ankle, wrist = NAMES.index("left_ankle"), NAMES.index("left_wrist")
    assert bent[ankle, 1] - rest[ankle, 1] > 0.2  # the body looks towards -y
    bent = turned(template, "lowerarm01.L", 0, math.radians(60))
    assert bent[wrist, 1] - rest[wrist, 1] < -0.05
    assert bent[wrist, 2] - rest[wrist, 2] > 0.1
    moves = [NAMES.index(f"left_{name}") for name in ("elbow", "wrist", "pinky", "index", "thumb")]
    still = [row for row in range(33) if row not in moves]
    assert torch.equal(bent[still], rest[still])


def test_turns_beyond_the_range_surprise(template: Template) -> None:
    names = [template.body.joint_names[joint] for joint in template.freedoms.joints.tolist()]
    turns = torch.zeros(3, len(names), 3)
    turns[1, names.index("lowerleg01.R"), 0] = math.radians(60)  # as usual as that
    turns[2, names.index("lowerleg01.R"), 0] = math.radians(-42)  # ten times three degrees too far
    surprise = template.freedoms.surprise(turns)
    torch.testing.assert_close(surprise, torch.tensor([0.0, 1.0, 100.0 + 0.7**2]), rtol=1e-4, atol=1e-4)


def test_points_give_a_start(template: Template) -> None:
    turns = torch.zeros(2, len(template.freedoms.joints), 3)
    truth = standing(template, turns)
    markers = template.posed(truth).markers
    found = start(template, markers)
    assert (template.posed(found).markers - markers).norm(dim=-1).mean() < 0.03


def test_rotations_and_gaps() -> None:
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    turn = matrices_from_axis_angles(torch.tensor([[0.3, -2.0, 0.5]]))
    torch.testing.assert_close(aligned(points, points @ turn.mT + 5.0), turn)
    gap = torch.arange(5.0)[:, None, None].expand(5, 33, 3).clone()
    whole = gap.clone()
    gap[2], gap[:, 7] = torch.nan, torch.nan
    whole[:, 7] = 0
    torch.testing.assert_close(filled(gap), whole)


def test_even_motion_costs_nothing() -> None:
    times = torch.tensor([0.0, 1.0, 3.0])
    values = (2 * times)[:, None, None].expand(3, 4, 3)
    assert motion_cost(values, times, 1.0) < 1e-9
    # One off the line, for intervals of one and two seconds: the variance is 4 / 9.
    moved = values.clone()
    moved[1, :, 0] += 1
    torch.testing.assert_close(motion_cost(moved, times, 1.0), torch.tensor(9.0 / 4.0))
    assert motion_cost(values[:2], times[:2], 1.0) == 0
