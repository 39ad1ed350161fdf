"""Surfaces frame by frame: figures, their JSON, and what the page shows of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from avatar.evaluate import (
    SURFACE_METRICS,
    ImageResult,
    Report,
    SurfaceConfig,
    SurfaceReport,
    SurfaceResult,
    evaluate_surface,
    with_picture,
    write_report,
)
from avatar.evaluate.protocol import METRICS
from avatar.evaluate.surface_page import BEHIND_RGB, FRONT_RGB, surface_picture
from avatar.structs import Capture, Mesh

QUICK = SurfaceConfig(num_points=5000, cell_m=0.03, num_views=12, view_px=128)
RADII = {0: 0.52, 1: 0.50, 2: 0.51}


def ball(radius: float) -> Mesh:
    made = trimesh.creation.icosphere(3)
    return Mesh(vertices=radius * torch.tensor(made.vertices).float(), faces=torch.tensor(made.faces))


def predicted(frame_id: int) -> Mesh:
    return ball(RADII[frame_id])


@pytest.fixture
def with_truth(capture: Capture) -> Capture:
    """The capture with a ball as its true surface, but not in frame 1."""
    return replace(capture, load_surface=lambda frame_id: None if frame_id == 1 else ball(0.5))


@pytest.fixture
def surface(with_truth: Capture) -> SurfaceReport:
    report = evaluate_surface(with_truth, (0, 1, 2), predicted, QUICK)
    assert report is not None
    return report


def report_with(surface: SurfaceReport) -> Report:
    image = ImageResult(frame_id=0, camera_id=0, camera="left", seconds=0.1, metrics=dict.fromkeys(METRICS, 1.0))
    return Report(subject="x", split="test <b>", images=(image,), surface=surface)


def test_only_frames_with_a_true_surface_count(with_truth: Capture, surface: SurfaceReport) -> None:
    assert [frame.frame_id for frame in surface.frames] == [0, 2]
    assert surface.mean("chamfer_mm") == pytest.approx(15, abs=0.3)
    seen: list[SurfaceResult] = []
    assert evaluate_surface(with_truth, (2,), predicted, QUICK, seen.append) == SurfaceReport(frames=tuple(seen))
    assert evaluate_surface(with_truth, (1,), predicted, QUICK) is None


def test_captures_without_surfaces_have_no_figures(capture: Capture) -> None:
    assert evaluate_surface(capture, (0, 1, 2), predicted, QUICK) is None


def test_json_comes_back(surface: SurfaceReport, tmp_path: Path) -> None:
    report = report_with(surface)
    report.write(tmp_path / "a.json")
    assert Report.read(tmp_path / "a.json") == report
    stored = json.loads((tmp_path / "a.json").read_text())["surface"]
    assert {"num_frames", "frames", *SURFACE_METRICS} == stored.keys()
    assert stored["chamfer_mm"] == surface.mean("chamfer_mm")
    assert stored["frames"][1]["frame_id"] == 2


def test_reports_from_before_there_were_surfaces_are_read(surface: SurfaceReport, tmp_path: Path) -> None:
    stored = report_with(surface).as_json()
    del stored["surface"]
    (tmp_path / "a.json").write_text(json.dumps(stored))
    assert Report.read(tmp_path / "a.json").surface is None


def test_the_median_frame_has_a_surface_if_most_have() -> None:
    def frame(frame_id: int, chamfer_mm: float | None) -> SurfaceResult:
        return SurfaceResult(frame_id=frame_id, metrics={"chamfer_mm": chamfer_mm})

    assert SurfaceReport(frames=(frame(3, None), frame(4, 9.0), frame(5, 2.0))).median_frame() == 4


@pytest.mark.parametrize(("radius", "expected"), [(0.45, BEHIND_RGB), (0.55, FRONT_RGB)])
def test_blue_is_behind_and_red_in_front(radius: float, expected: tuple[int, int, int]) -> None:
    picture = surface_picture(ball(radius), ball(0.5))
    assert (picture.shape[0], picture.shape[2]) == (900, 4)
    for side in np.split(picture, 2, axis=1):
        height, width = side.shape[:2]
        assert side[height // 2, width // 2].tolist() == pytest.approx([*expected[::-1], 255], abs=2)


def test_the_page_shows_them(with_truth: Capture, surface: SurfaceReport, tmp_path: Path) -> None:
    shown = with_picture(surface, with_truth, predicted)
    assert shown.picture is not None
    page = write_report(tmp_path, subject="x", reports=[report_with(shown)]).read_text("utf-8")
    assert (tmp_path / "surface_test__b_.png").is_file()
    assert f"<td>{surface.mean('chamfer_mm'):.2f}</td>" in page
    assert "test &lt;b&gt;, frame 0: 20 mm behind" in page
    plain = write_report(tmp_path / "plain", subject="x", reports=[replace(report_with(surface), surface=None)])
    assert "Chamfer" not in plain.read_text("utf-8")


def test_nothing_predicted_has_no_picture(with_truth: Capture) -> None:
    def nothing(_: int) -> Mesh:
        return Mesh(vertices=torch.zeros(0, 3), faces=torch.zeros(0, 3).long())

    report = evaluate_surface(with_truth, (0,), nothing, QUICK)
    assert report is not None
    assert (report.mean("chamfer_mm"), report.mean("iou")) == (None, 0)
    assert with_picture(report, with_truth, nothing).picture is None
