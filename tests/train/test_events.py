"""The diary of a run."""

from pathlib import Path

import pytest

from avatar.train import read_events
from avatar.train.events import Events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three rows of an earlier run."""
    events = Events(tmp_path / "run" / "events.jsonl", 0)
    for step in (10, 20, 30):
        events.add(step=step, loss=1 / step)
    return tmp_path / "run" / "events.jsonl"


def steps(path: Path) -> list[int]:
    return [row["step"] for row in read_events(path)]


def test_rows_come_back(path: Path) -> None:
    assert read_events(path) == [{"step": step, "loss": 1 / step} for step in (10, 20, 30)]


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl") == []


@pytest.mark.parametrize(("resumed", "kept"), [(30, [10, 20, 30]), (25, [10, 20]), (20, [10, 20]), (9, []), (0, [])])
def test_what_a_resumed_run_will_do_again_is_dropped(path: Path, resumed: int, kept: list[int]) -> None:
    events = Events(path, resumed)
    assert steps(path) == kept
    events.add(step=99)
    assert steps(path) == [*kept, 99]
    assert [file.name for file in path.parent.iterdir()] == ["events.jsonl"]


@pytest.mark.parametrize("torn", ["{", '{"step": 40, "loss": 0.0', '{"step": 40, "lo\x00\x00'])
def test_a_torn_last_line_is_left_out(path: Path, torn: str) -> None:
    with path.open("a") as file:
        file.write(torn)
    assert steps(path) == [10, 20, 30]
    Events(path, 30).add(step=40)
    assert steps(path) == [10, 20, 30, 40]
