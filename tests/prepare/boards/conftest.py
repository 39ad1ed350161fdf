"""Pictures that several tests look at."""

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import parse_board

from .filming import camera, filmed, waved


@pytest.fixture(scope="session")
def film() -> tuple[Calibration, list[np.ndarray]]:
    """A camera and what it saw of a checkerboard of 7 x 4 corners and 60 mm."""
    lens, board = camera(distortion=(-0.2, 0.05, 0, 0, 0)), parse_board("checkerboard:7x4:60")
    return lens, [filmed(lens, board, pose, finer=2) for pose in waved(board, 12, seed=3)]
