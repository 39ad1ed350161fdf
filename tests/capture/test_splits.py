"""``splits.json`` and the splits of captures that have none."""

from pathlib import Path

import pytest

from avatar.capture.errors import CaptureError
from avatar.capture.splits import default_splits, splits_from_json

NAMES = ["B1", "B2", "B3"]


def test_cameras_are_found_by_name() -> None:
    values = {"frame_rate": 30.0, "cameras": NAMES, "train": {"frames": [2, 0], "cameras": ["B3", "B1"]}}
    splits = splits_from_json(values, NAMES, 4, Path("splits.json"))
    assert list(splits) == ["train"]
    assert splits["train"].frame_ids == (2, 0)
    assert splits["train"].camera_ids == (2, 0)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"frames": [0], "cameras": ["B4"]}, "no camera 'B4'; there are B1, B2, B3"),
        ({"frames": [4], "cameras": ["B1"]}, "from 0 to 3, got '4'"),
        ({"frames": [-1], "cameras": ["B1"]}, "from 0 to 3"),
        ({"frames": [0.5], "cameras": ["B1"]}, "from 0 to 3"),
        ({"frames": [True], "cameras": ["B1"]}, "from 0 to 3"),
        ({"frames": [], "cameras": ["B1"]}, "frames is empty"),
        ({"frames": [0, 0], "cameras": ["B1"]}, "twice"),
        ({"frames": [0], "cameras": ["B1", "B1"]}, "twice"),
        ({"frames": [0], "cameras": [["B1"]]}, "printable text"),
        ({"frames": "0", "cameras": ["B1"]}, "expected a list"),
        ({"cameras": ["B1"]}, "no 'frames'"),
    ],
)
def test_broken_splits_are_refused(entry: dict[str, object], problem: str) -> None:
    with pytest.raises(CaptureError, match=f"splits.json: train.*{problem}"):
        splits_from_json({"train": entry}, NAMES, 4, Path("splits.json"))


@pytest.mark.parametrize(("num_cameras", "train"), [(23, (0, 6, 12, 18)), (14, (0, 6, 12)), (4, (0, 1, 2)), (1, (0,))])
def test_default_splits_hold_cameras_back(num_cameras: int, train: tuple[int, ...]) -> None:
    splits = default_splits(num_cameras, 61)
    assert splits["train_dense"].camera_ids == train
    assert splits["train_dense"].frame_ids == tuple(range(61))
    test = splits.get("test_novel_view")
    assert sorted(train + (test.camera_ids if test else ())) == list(range(num_cameras))
    assert test is None or test.frame_ids == (0, 30, 60)
