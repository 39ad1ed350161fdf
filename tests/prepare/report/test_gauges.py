"""Levels of hand-worked figures, and which pictures and cameras are the worst."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from avatar.prepare import Findings
from avatar.prepare.report.gauges import camera_level, gauges, heights_px, worst_frames, worst_levels
from avatar.structs import Camera, Capture

from .conftest import unknown_camera


def test_what_nobody_knows_has_no_gauge(
    make_capture: Callable[[int], Capture], nothing: Callable[[Capture], Findings]
) -> None:
    findings = nothing(make_capture(2))
    assert gauges(findings, torch.ones(2)) == ()
    assert worst_levels((), findings.overlaps).isnan().all()


def test_levels_are_shares_of_what_is_plainly_wrong(
    make_capture: Callable[[int], Capture], nothing: Callable[[Capture], Findings]
) -> None:
    findings = nothing(make_capture(2))
    residuals, overlaps = findings.residuals_px.clone(), findings.overlaps.clone()
    residuals[0], residuals[1, 0] = torch.tensor([2.5, 2.5]), math.inf
    overlaps[0], overlaps[2, 1] = torch.tensor([0.9, 0.5]), 1.0
    found = gauges(replace(findings, residuals_px=residuals, overlaps=overlaps), torch.tensor([100.0, 200.0]))
    assert [gauge.title for gauge in found] == ["Cameras against each other", "Body against mask"]
    levels = worst_levels(found, overlaps)
    torch.testing.assert_close(levels[0], torch.tensor([1.0, 2.0]))  # 2.5 px of 100 px; overlap of one half
    assert levels[1, 0] == math.inf
    assert levels[1, 1].isnan()
    assert levels[2, 1] == 0
    assert found[0].show(float(found[0].values[1, 0])) == "—"


def test_the_worst_frame_is_the_first_and_neighbours_do_not_crowd_it() -> None:
    levels = torch.full((100,), 0.1)
    levels[40:44] = torch.tensor([0.8, 0.9, 1.0, 0.9])
    levels[80], levels[90:] = 0.7, torch.nan
    assert worst_frames(levels, 3)[:2] == [42, 80]
    assert worst_frames(torch.full((5,), torch.nan), 3) == []
    assert worst_frames(torch.tensor([0.0, 2.0]), 3) == [1, 0]
    assert levels[42] == 1  # what is given stays as it is


def test_a_camera_is_as_bad_as_the_worst_that_is_known_of_it() -> None:
    camera = unknown_camera("a")
    assert camera_level(camera, 10, [math.nan]) == 0
    assert camera_level(camera, 10, [0.3, math.nan]) == pytest.approx(0.3)
    assert camera_level(replace(camera, unseen=4, missing=1), 10, []) == pytest.approx(1)
    assert camera_level(replace(camera, sync_confidence=0.05), 10, [0.3]) == 1
    assert camera_level(replace(camera, unrest=0.2), 10, [0.3]) == pytest.approx(2)


def test_a_person_is_as_large_as_the_joints_reach() -> None:
    intrinsics = torch.tensor([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])
    camera = Camera(camera_from_world=torch.eye(4), intrinsics_px=intrinsics, height=80, width=100)
    standing = torch.tensor([[0.0, -1, 5], [0, 1, 5], [0.2, 0, 5]])
    behind, unknown = torch.tensor([[0.0, 0, -5]]).expand(3, 3), torch.full((3, 3), torch.nan)
    assert heights_px([camera], torch.stack([standing, behind, unknown])).tolist() == pytest.approx([40])
    assert heights_px([camera], torch.stack([behind, unknown])).tolist() == [80]
