"""Clocks of videos of one motion, whose offsets are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.geometry import look_at, project, transform_points
from avatar.prepare.synchronise import MotionSignal, landmark_motion, synchronise


def dance(times_s: np.ndarray) -> np.ndarray:
    """Six points that move at random but smoothly, metres, at any time from 0 to 20 s."""
    random = np.random.default_rng(0)
    knots = np.linspace(0, 20, 101)
    paths = random.normal(0, 0.2, (101, 18))
    rest = np.stack([np.zeros(6), np.zeros(6), np.linspace(0.1, 1.7, 6)], axis=-1)
    return rest + np.stack([np.interp(times_s, knots, path) for path in paths.T], axis=-1).reshape(-1, 6, 3)


def film(angle: float, start_s: float, end_s: float, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """What a camera at an angle around the dancer sees, pixels, and when by its own clock, which starts at zero."""
    times = np.arange(start_s, end_s, 1 / rate_hz)
    eye = torch.tensor([4 * np.cos(angle), 4 * np.sin(angle), 1.5])
    camera_from_world = look_at(eye, torch.tensor([0.0, 0.0, 1.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double())
    intrinsics = torch.tensor([[800.0, 0, 400], [0, 800, 300], [0, 0, 1]]).double()
    points, _ = project(transform_points(camera_from_world, torch.from_numpy(dance(times))), intrinsics)
    noise = np.random.default_rng(int(100 * angle)).normal(0, 1, points.shape)
    return points.numpy() + noise, times - times[0]


FILMS = [(0.3, 2.0, 14.0, 30.0), (1.9, 3.5, 15.0, 60.0), (3.2, 0.0, 9.0, 25.0), (4.4, 6.0, 19.0, 30.0)]


def test_offsets_of_cameras_all_around() -> None:
    signals = [landmark_motion(*film(*each)) for each in FILMS]
    found = synchronise(signals)
    expected = [0.0, 1.5, -2.0, 4.0]
    np.testing.assert_allclose(found.offsets_s, expected, atol=1 / 60 + 1e-9)
    assert found.confidences.min() > 0.3
    assert found.offsets_s[0] == 0


def test_equal_rates_are_exact() -> None:
    signals = [
        landmark_motion(*film(angle, start, 12.0, 30.0)) for angle, start in ((0.3, 0.0), (2.0, 1.0), (4.0, 2.5))
    ]
    np.testing.assert_allclose(synchronise(signals).offsets_s, [0.0, 1.0, 2.5], atol=1e-9)


def test_gaps_are_borne() -> None:
    """Nobody found for a second, and half of the landmarks unsure."""
    points, times = film(0.3, 0.0, 12.0, 30.0)
    points[100:130] = np.nan
    confidences = np.tile([0.9, 0.1], (len(times), 3))
    other = landmark_motion(*film(2.0, 1.0, 12.0, 30.0))
    found = synchronise([landmark_motion(points, times, confidences), other])
    np.testing.assert_allclose(found.offsets_s, [0.0, 1.0], atol=1e-9)


def test_what_does_not_match_has_no_confidence() -> None:
    random, times = np.random.default_rng(1), np.arange(300) / 30
    strangers = [MotionSignal(times_s=times, values=random.normal(size=(300, 6))) for _ in range(3)]
    assert (synchronise(strangers).confidences < 0.1).all()


def test_nothing_known_means_nothing_moved() -> None:
    times = np.arange(60) / 30
    still = MotionSignal(times_s=times, values=np.zeros((60, 2)))
    unseen = MotionSignal(times_s=times, values=np.full((60, 2), np.nan))
    found = synchronise([still, unseen, still])
    np.testing.assert_array_equal(found.offsets_s, 0)
    np.testing.assert_array_equal(found.confidences, 0)
    assert synchronise([still]).offsets_s.tolist() == [0.0]


def test_times_must_increase() -> None:
    with pytest.raises(ValueError, match="expected two or more times that increase"):
        MotionSignal(times_s=np.array([0.0, 0.0]), values=np.zeros((2, 1)))
    with pytest.raises(ValueError, match="expected at least one video"):
        synchronise([])


def test_a_real_man(shared: Path) -> None:
    """Landmarks of four videos of 1.7 s, cut differently: right to two frames of thirty a second."""
    known = np.load(shared / "balance4" / "keypoints2d.npz")["keypoints"].astype(np.float64)
    times, starts = np.arange(50) / 30, [0, 5, 0, 3]
    signals = [
        landmark_motion(known[start : 50 - i, i, :, :2], times[: 50 - i - start], known[start : 50 - i, i, :, 2])
        for i, start in enumerate(starts)
    ]
    found = synchronise(signals)
    assert np.abs(found.offsets_s * 30 - starts).max() <= 2.01
