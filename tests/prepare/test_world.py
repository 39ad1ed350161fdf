"""Up, the ground, and units that cannot be."""

import math

import numpy as np
import pytest
import torch

from avatar.capture.calibration import Calibration
from avatar.geometry import matrices_from_axis_angles
from avatar.prepare.world import check_height, ground_m, house_turn, person_height_m

from .rig import ring
from .scene import person


def calibrations() -> list[Calibration]:
    return [
        Calibration(
            name=camera.name,
            intrinsics_px=camera.intrinsics_px.double().numpy(),
            camera_from_world=camera.camera_from_world.double().numpy(),
            distortion=np.zeros(5),
            size=(480, 640),
        )
        for camera in ring(4)
    ]


def turned(turn: torch.Tensor) -> list[Calibration]:
    return [each.turned(turn.double().numpy()) for each in calibrations()]


def test_an_upright_world_stays() -> None:
    assert np.allclose(house_turn(calibrations(), "here"), np.eye(3))


def test_a_world_of_y_up_is_turned_by_a_right_angle() -> None:
    turn = matrices_from_axis_angles(torch.tensor([-math.pi / 2, 0, 0]))
    assert np.allclose(house_turn(turned(turn), "here"), turn.mT.double().numpy(), atol=1e-6)


def test_a_world_of_no_axis_up_is_turned_by_the_cameras() -> None:
    turn = matrices_from_axis_angles(torch.tensor([0.5, 0.6, 0.2]))
    back = house_turn(turned(turn), "here") @ turn.double().numpy()
    assert math.degrees(math.acos(min(1.0, back[2, 2]))) < 6, "as far as the cameras look down unevenly"


def test_ground_and_height() -> None:
    """The person of the scene stands most of the time at least 3 cm above its lowest landmark's height."""
    points = torch.from_numpy(person(np.zeros(5)))
    assert ground_m(points + torch.tensor([0, 0, 0.7])) == pytest.approx(0.7, abs=0.01)
    assert 1.6 < person_height_m(points) < 2.0
    assert math.isnan(ground_m(points * torch.nan))
    assert math.isnan(person_height_m(points * torch.nan))


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        (1000.0, "millimetres: give --unit-m 0.001"),
        (100.0, "centimetres: give --unit-m 0.01"),
        (39.37, "inches: give --unit-m 0.0254"),
        (0.2, "give --unit-m 5"),
    ],
)
def test_impossible_people_tell_the_unit(factor: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_height(1.7 * factor, "Calib.toml")
    check_height(1.7, "Calib.toml")
    check_height(math.nan, "Calib.toml")
