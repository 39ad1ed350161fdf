"""The shared captures, where they are there."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from avatar.assets import pose_path
from avatar.prepare import LandmarkConfig, Landmarker

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared captures."""
    if not DATA.is_dir():
        pytest.skip("needs the shared captures")
    return DATA


@pytest.fixture(scope="session")
def landmarker() -> Landmarker:
    """The heavy model, where the user has fetched it."""
    if find_spec("ai_edge_litert") is None:
        pytest.skip("needs `pip install 'avatar[pose]'`")
    if not pose_path("heavy").is_file():
        pytest.skip("needs `avatar assets fetch pose`")
    return Landmarker(LandmarkConfig())
