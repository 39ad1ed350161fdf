"""Tracks of hand-made figures: which pixel is red, where peaks lie, how long bars are."""

import base64
import re

import cv2
import numpy as np
import pytest
import torch

from avatar.prepare import BoneLength, MotionSignal
from avatar.prepare.report.gauges import Gauge, pixels
from avatar.prepare.report.rows import COLUMNS, aligned, bone_rows, both_sides, heat_rows, signal_rows


def gauge(levels: torch.Tensor) -> Gauge:
    return Gauge(title="t", meaning="m", unit="px", values=10 * levels, levels=levels, show=pixels)


def heat_pixels(html: str) -> np.ndarray:
    data = base64.b64decode(re.findall(r"base64,([^\"]+)", html)[0])
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def test_every_picture_is_a_pixel_and_the_bad_ones_are_linked() -> None:
    levels = torch.tensor([[0.0], [1.0], [torch.nan], [0.6]])
    html = heat_rows(gauge(levels), ["a"], [0], 2.0, {(1, 0): "#x", (0, 0): "#y", (3, 1): "#z"})
    opacity = heat_pixels(html)[0, :, 3]
    assert opacity[1] == 255 > opacity[3] > opacity[0]
    assert heat_pixels(html)[0, 1, 2] > 190 > 140 > heat_pixels(html)[0, 2, 2]  # red, and grey where not known
    assert re.findall(r'href="(..)" style="left:([\d.]+)%', html) == [("#x", "37.50")]
    assert [f"{time} s" in html for time in ("0.0", "1.0", "2.0")] == [True] * 3
    assert ">6.0</b>" in html  # the median


def test_the_worst_of_many_pictures_is_not_lost() -> None:
    levels = torch.zeros(COLUMNS * 7, 1)
    levels[1234] = 1.0
    opacity = heat_pixels(heat_rows(gauge(levels), ["a"], [0], 30.0, {}))[0, :, 3]
    assert len(opacity) == COLUMNS
    assert np.flatnonzero(opacity == 255).tolist() == [1234 // 7]


def bump(at_s: float, start_s: float) -> MotionSignal:
    times = start_s + np.arange(40) / 20
    values = np.exp(-(((times - at_s) / 0.1) ** 2))[:, None] * [1, -1, np.nan]
    return MotionSignal(times_s=times, values=values)


def test_right_offsets_bring_peaks_together() -> None:
    times, curves = aligned([bump(1.0, 0.0), bump(0.4, -0.5)], [0.0, 0.6])
    peaks = times[np.nanargmax(curves, axis=1)]
    assert peaks == pytest.approx([1.0, 1.0], abs=1e-6)
    assert times[0] == pytest.approx(0.0)
    assert np.isnan(curves[0, times > 1.96]).all()  # no longer filmed
    wrong = aligned([bump(1.0, 0.0), bump(0.4, -0.5)], [0.0, 0.0])
    assert np.ptp(wrong[0][np.nanargmax(wrong[1], axis=1)]) == pytest.approx(0.6, abs=0.051)


def test_long_takes_show_their_liveliest_part() -> None:
    times = np.arange(3000) / 30
    values = np.where(abs(times - 70) < 2, np.sin(9 * times), 0.01)[:, None]
    html = signal_rows([MotionSignal(times_s=times, values=values)] * 2, [0.0, 0.0], [1.0, 0.02], ["a", "b"], [1, 0])
    start, end = (float(time) for time in re.findall(r"<span>([\d.]+) s</span>", html)[::2])
    assert start <= 68 < 72 <= end
    assert end - start == pytest.approx(12, abs=0.1)
    assert html.count("--heat") == 1  # the second is unsure


def test_a_camera_that_saw_nobody_has_no_curve() -> None:
    nobody = MotionSignal(times_s=np.arange(40) / 20, values=np.full((40, 2), np.nan))
    html = signal_rows([bump(1.0, 0.0), nobody], [0.0, np.nan], [0.0, np.nan], ["a", "b"], [0, 1])
    assert "nan" not in html.lower()
    assert html.count('<path d=""/>') == 1


def test_sides_stand_together_and_differences_are_said() -> None:
    bones = [
        BoneLength(name="left_shoulder to left_elbow", metres=0.30, spread_m=0.003),
        BoneLength(name="left_hip to right_hip", metres=0.40, spread_m=0.0),
        BoneLength(name="right_shoulder to right_elbow", metres=0.34, spread_m=0.006),
    ]
    assert {name: len(pair) for name, pair in both_sides(bones).items()} == {"shoulder to elbow": 2, "hip to hip": 1}
    html = bone_rows(bones)
    assert re.findall(r'<i style="width:([\d.]+)%', html) == ["75.00", "85.00", "100.00"]
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", html)[0] == ("74.25", "1.50")
    assert re.findall(r"differ by [\d.]+ cm", html) == ["differ by 4.0 cm"]
