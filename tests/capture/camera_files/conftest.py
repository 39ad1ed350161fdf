"""Three cameras on a circle, in the conventions of the house, for every test to write in another program's."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.capture.calibration import Calibration
from avatar.geometry import look_at


@pytest.fixture
def cameras() -> list[Calibration]:
    """Cameras ``01``, ``02`` and ``10``: metres, z-up, pixel centres at .5, with distortion."""
    made = []
    for index, name in enumerate(("01", "02", "10")):
        angle = 2 * math.pi * index / 3 + 0.1
        eye = torch.tensor([3.1 * math.cos(angle), 2.9 * math.sin(angle), 1.2 + 0.1 * index], dtype=torch.float64)
        target, up = (torch.tensor(point, dtype=torch.float64) for point in ([0.0, 0.1, 0.9], [0.0, 0.0, 1.0]))
        made.append(
            Calibration(
                name=name,
                intrinsics_px=np.array([[1074.25 + index, 0.0, 543.75], [0.0, 1075.5, 485.25], [0.0, 0.0, 1.0]]),
                camera_from_world=look_at(eye, target, up).numpy(),
                distortion=np.array([-0.22, 0.03, 1e-3, -5e-4, 0.0]),
                size=(960, 1024),
            )
        )
    return made


@pytest.fixture
def undistorted(cameras: list[Calibration]) -> list[Calibration]:
    """The same cameras without distortion."""
    return [replace(camera, distortion=np.zeros(5)) for camera in cameras]
