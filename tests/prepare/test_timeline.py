"""Time steps of videos that differ in start, rate and length."""

import numpy as np
import pytest
import torch

from avatar.prepare.timeline import Timeline, compare_clocks, rows_of, slowest_hz, time_lost

from .scene import person


def side(times_s: np.ndarray) -> np.ndarray:
    """The person from the side, in pixels."""
    return 200 - 100 * person(times_s)[..., 1:]


def test_rows_are_the_nearest_frames() -> None:
    """One video starts half a second later and has twice the rate; a frame of the other is lost."""
    slow, fast = np.delete(np.arange(20) / 10, [8, 9, 10]), np.arange(30) / 20
    rows = rows_of([slow, fast], np.array([0.0, 0.5]), 10.0)
    assert rows[:, 1].tolist() == list(range(0, 30, 2))
    assert rows[:3, 0].tolist() == [5, 6, 7]
    assert -1 in rows[3:6, 0]
    with pytest.raises(ValueError, match="at most 100000 in all; give a lower rate"):
        rows_of([slow, fast], np.zeros(2), 1e9)
    with pytest.raises(ValueError, match="no time in common"):
        rows_of([slow, fast], np.array([0.0, 50.0]), 10.0)


def test_the_rate_is_not_fooled_by_gaps_and_whole_milliseconds() -> None:
    times = np.round(np.arange(300) / 29.97, 3)
    assert slowest_hz([np.delete(times, range(40, 60)), np.arange(10) / 60]) == pytest.approx(29.97, rel=1e-3)
    assert slowest_hz([np.zeros(1)]) == 30


def test_large_offsets_are_told_by_motion_and_small_ones_left() -> None:
    long, trust = np.arange(200) / 25, np.ones((200, 33))
    for late_s, expected_s in ((1.2, 1.2), (0.04, 0.0)):
        found = compare_clocks([long, long], [side(long), side(long + late_s)], [trust, trust], None)
        assert found.offsets_s == pytest.approx([0, expected_s], abs=0.021)
        assert found.rate_hz == 25
        assert len(found.signals) == 2


def test_nobody_tells_no_offset() -> None:
    times, nobody = np.arange(50) / 25, np.full((50, 33, 2), np.nan)
    found = compare_clocks([times, times], [side(times), nobody], [np.ones((50, 33)), np.zeros((50, 33))], None)
    assert found.offsets_s.tolist() == [0, 0]
    assert found.confidences[1] < 0.1
    assert len(found) == 50


def test_who_cuts_the_capture_short_is_told() -> None:
    times, names = np.arange(101) / 10, ["a", "b", "c"]
    assert time_lost(names, [times, times, times[:95]], np.array([0.0, 0.3, 0.0])) == []
    (said,) = time_lost(names, [times, times[:41], times], np.zeros(3))
    assert said.startswith("b: its video ends 6.0 s before the last one does; only the 4.0 s that all")
    late, early = time_lost(names, [times, times, times[:41]], np.array([0.0, 2.0, 0.0]))
    assert late.startswith("b: its video begins 2.0 s after the first one does; only the 2.0 s")
    assert early.startswith("c: its video ends 8.0 s before")


def test_values_go_to_time_steps() -> None:
    rows = np.array([[0, 1], [1, -1], [2, 2]])
    timeline = Timeline(rate_hz=10.0, offsets_s=np.zeros(2), confidences=np.ones(2), rows=rows)
    found = timeline.gather([np.array([1.0, 2, 3]), np.array([4.0, 5, 6])])
    expected = torch.tensor([[1, 5], [2, torch.nan], [3, 6]]).double()
    assert torch.equal(found.nan_to_num(-1), expected.nan_to_num(-1))
    every = timeline.every(2)
    assert (every.rate_hz, every.rows.tolist()) == (5.0, [[0, 1], [2, 2]])
