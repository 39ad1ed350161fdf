"""Parts, means and tables of protocols, and what they refuse."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.evaluate.protocols import (
    PROTOCOLS,
    PUBLISHED,
    Measure,
    PictureRule,
    Protocol,
    ProtocolImage,
    ProtocolReport,
    Psnr,
    compared,
    judge,
    missing,
    parts_of,
    rows_of,
)
from avatar.structs import Capture, Frame, Pose, Rendering

Renderer = Callable[[Frame], Rendering]
pytestmark = pytest.mark.usefixtures("empty_cache")


def no_vertices(frame: Frame) -> torch.Tensor:
    raise AssertionError("no box, no vertices")


@pytest.mark.parametrize(
    ("protocol", "subject", "part", "train", "images"),
    [
        ("zju-A", "my_377", "novel_view", 100, 17 * 22),
        ("zju-B", "CoreView_377", "novel_view", 570, 19 * 22),
        ("zju-C", "CoreView_377", "novel_view", 456, 16 * 22),
        ("zju-C", "CoreView_377", "novel_pose", 456, 4 * 23),
        ("zju-D", "CoreView_313", "novel_view", 60 * 4, 2 * 17),
        ("zju-D", "CoreView_377", "novel_view", 300 * 4, 10 * 19),
        ("zju-D", "CoreView_390", "novel_pose", 300 * 4, 24 * 19),
        ("zju-E", "my_394", "novel_view", 60 * 8, 6 * 15),
        ("zju-E", "my_394", "novel_pose", 60 * 8, 10 * 15),
        ("wilddynacap", "Subject0002_tight_testing", "novel_view", 90 * 4, 90 * 6),
        ("wilddynacap", "Subject0005_loose_testing", "novel_view", 68 * 4, 68 * 6),
        ("wilddynacap-outside", "Subject0027_tight_inTheWild", "novel_view", 30 * 4, 30),
    ],
)
def test_parts_have_the_published_number_of_images(
    protocol: str, subject: str, part: str, train: int, images: int
) -> None:
    parts = PROTOCOLS[protocol].subjects[subject]
    assert (len(parts["train"]), len(parts[part])) == (train, images)
    assert part == "novel_pose" or not set(parts["train"].camera_ids) & set(parts[part].camera_ids)


def test_who_is_in_and_with_which_cameras() -> None:
    assert list(PROTOCOLS["zju-A"].subjects) == [f"my_{number}" for number in (377, 386, 387, 392, 393, 394)]
    assert len(PROTOCOLS["zju-D"].subjects) == 9
    assert PROTOCOLS["zju-A"].subjects["my_392"]["train"].camera_ids == (4,)
    assert PROTOCOLS["zju-A"].subjects["my_392"]["novel_view"].frame_ids == tuple(range(0, 481, 30))
    assert PROTOCOLS["zju-D"].subjects["CoreView_390"]["novel_view"].frame_ids == tuple(range(700, 1000, 30))


def test_sparse_parts_of_any_capture(capture: Capture) -> None:
    wide = replace(
        capture,
        cameras=capture.cameras * 10,
        poses=Pose(local_quats=torch.zeros(41, 1, 4), root_position_world=torch.zeros(41, 3)),
    )
    parts = parts_of(PROTOCOLS["spare-3"], wide)
    assert parts["train"].camera_ids == (0, 9, 19)
    assert parts["train"].frame_ids == parts["novel_view"].frame_ids
    assert len(parts["novel_view"].camera_ids) == len(parts["novel_view"].frame_ids) == 10
    assert not {0, 9, 19} & set(parts["novel_view"].camera_ids)
    assert len(parts_of(PROTOCOLS["spare-9"], wide)["novel_view"].camera_ids) == 10
    split = replace(wide.splits["test"], frame_ids=(7, 9))
    named = parts_of(PROTOCOLS["spare-3"], replace(wide, splits={"test_novel_view": split}))
    assert named["novel_view"].frame_ids == (7, 9)
    with pytest.raises(ValueError, match="expected more than 3 cameras, got 2"):
        parts_of(PROTOCOLS["spare-3"], capture)


def test_captures_that_a_protocol_does_not_know(capture: Capture) -> None:
    """Not the release where it wants the refined set, nor a cut of a subject."""
    with pytest.raises(ValueError, match=r"zju-A: expected one of the captures my_377, .* got 'CoreView_377'"):
        parts_of(PROTOCOLS["zju-A"], replace(capture, name="CoreView_377"))
    with pytest.raises(ValueError, match=r"train of 'my_377' takes 496 time steps and 5 cameras.* has 3 and 2"):
        parts_of(PROTOCOLS["zju-A"], replace(capture, name="my_377"))


def own(capture: Capture) -> Protocol:
    """PSNR by frames on the fixture."""
    test = capture.splits["test"]
    return Protocol(
        name="own",
        about="a test",
        subjects={capture.name: {"train": test, "novel_view": test}},
        picture=PictureRule(),
        is_by_frame=True,
        measures=(Measure(name="psnr_mask", of=Psnr(), area="mask"),),
    )


def test_judged_by_hand(capture: Capture, render_frame: Renderer, tmp_path: Path) -> None:
    """Brighter by 0.2, 0.1 and 0.04: 13.9794, 20 and 27.9588 dB, of two images each."""
    seen: list[ProtocolImage] = []
    report = judge(own(capture), capture, "novel_view", render_frame, no_vertices, seen.append)
    assert len(report.images) == len(seen) == 6
    assert report.mean("psnr_mask") == pytest.approx((13.979400 + 20 + 27.958800) / 3, abs=1e-4)
    report.write(tmp_path / "a" / "own.json")
    assert ProtocolReport.read(tmp_path / "a" / "own.json") == report


def test_parts_and_files_that_there_are_not(capture: Capture, render_frame: Renderer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"own: no part 'train' of .*; it tests novel_view"):
        judge(own(capture), capture, "train", render_frame, no_vertices)
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(ValueError, match=r"b\.json: not the figures of a protocol"):
        ProtocolReport.read(tmp_path / "b.json")


def test_means_over_scenes_are_not_means_over_images() -> None:
    """Scene 0 has 10 and 20 dB, scene 1 has 30 dB: 22.5 by scenes, 20 by images; what is missing does not count."""
    rows = [(0, 10.0), (0, 20.0), (1, 30.0), (1, None)]
    images = tuple(ProtocolImage(frame_id=f, camera_id=0, figures={"psnr": value}) for f, value in rows)
    report = ProtocolReport(protocol="spare-3", subject="x", part="novel_view", is_by_frame=True, images=images)
    assert report.mean("psnr") == 22.5
    assert replace(report, is_by_frame=False).mean("psnr") == 20
    assert replace(report, images=images[3:]).mean("psnr") is None


def test_missing_lpips_is_said(capture: Capture, render_frame: Renderer, caplog: pytest.LogCaptureFixture) -> None:
    protocol = replace(own(capture), measures=PROTOCOLS["zju-B"].measures)
    with caplog.at_level(logging.WARNING):
        report = judge(protocol, capture, "novel_view", render_frame, no_vertices)
    assert "avatar assets fetch lpips" in caplog.text
    assert report.mean("lpips_vgg") is None


def report_of(protocol: str, subject: str, psnr: float, part: str = "novel_view") -> ProtocolReport:
    names = [measure.name for measure in PROTOCOLS[protocol].measures]
    image = ProtocolImage(frame_id=0, camera_id=0, figures=dict.fromkeys(names, psnr))
    return ProtocolReport(protocol=protocol, subject=subject, part=part, is_by_frame=False, images=(image,))


def test_our_line_is_under_the_published_ones() -> None:
    """Of one subject of D: the published means of nine, those of that subject, and ours."""
    protocol = PROTOCOLS["zju-D"]
    lines = compared(protocol, rows_of(PUBLISHED, "zju-D", "novel_view"), [report_of("zju-D", "CoreView_377", 27.0)])
    body = [(len(line.subjects), line.figures["psnr_box"]) for line in lines if line.method == "NeuralBody"]
    assert body == [(9, 28.10), (1, 27.64)]
    assert lines[-1].method == "avatar"
    assert lines[-1].subjects == ("CoreView_377",)
    assert lines[-1].figures["psnr_box"] == 27


def test_our_mean_is_over_subjects() -> None:
    reports = [report_of("zju-B", "CoreView_377", 30.0), report_of("zju-B", "CoreView_392", 33.0)]
    lines = compared(PROTOCOLS["zju-B"], rows_of(PUBLISHED, "zju-B", "novel_view"), reports)
    assert lines[-1].figures["psnr"] == 31.5
    assert [(line.subjects, line.figures["psnr"]) for line in lines[-3:-1]] == [
        (("CoreView_377",), 30.0),
        (("CoreView_392",), 33.0),
    ]
    migs = next(line for line in lines if line.method == "MIGS")
    assert migs.figures["psnr"] == pytest.approx((32.85 + 33.88) / 2)
    assert migs.figures["ssim_range2"] is None


def test_missing_subjects_are_named() -> None:
    assert missing(PROTOCOLS["zju-A"], {"my_394", "my_377", "my_387"}) == ["my_386", "my_392", "my_393"]
    assert missing(PROTOCOLS["zju-A"], list(PROTOCOLS["zju-A"].subjects)) == []
    assert missing(PROTOCOLS["spare-3"], ["anybody"]) == []


@pytest.mark.parametrize(
    "reports",
    [
        [report_of("zju-B", "CoreView_377", 30.0)],
        [report_of("zju-A", "my_377", 30.0), report_of("zju-B", "CoreView_386", 30.0)],
        [report_of("zju-A", "my_377", 30.0), report_of("zju-A", "my_386", 30.0, part="novel_pose")],
        [report_of("zju-A", "my_377", 30.0, part="novel_pose")],
    ],
)
def test_protocols_and_parts_do_not_mix(reports: list[ProtocolReport]) -> None:
    with pytest.raises(ValueError, match="do not compare"):
        compared(PROTOCOLS["zju-A"], rows_of(PUBLISHED, "zju-A", "novel_view"), reports)


def test_published_lines_of_another_protocol_are_refused() -> None:
    with pytest.raises(ValueError, match="figures of zju-D, novel_view, do not compare with those of zju-A"):
        compared(PROTOCOLS["zju-A"], rows_of(PUBLISHED, "zju-D", "novel_view"), [report_of("zju-A", "my_377", 30.0)])
    with pytest.raises(ValueError, match="each subject once"):
        compared(PROTOCOLS["zju-A"], [], [report_of("zju-A", "my_377", 30.0)] * 2)
    with pytest.raises(ValueError, match="got none"):
        compared(PROTOCOLS["zju-A"], [], [])


def test_published_tables_fit_their_protocols() -> None:
    """Every figure has a column, every subject is known, and the means are those of the subjects."""
    for row in PUBLISHED:
        protocol = PROTOCOLS[row.protocol]
        names = {measure.name for measure in protocol.measures}
        assert row.figures.keys() | row.unconfirmed <= names
        assert row.subjects.keys() <= protocol.subjects.keys()
        if row.figures and len(row.subjects) == len(protocol.subjects):
            for name, mean in row.figures.items():
                each = [figures[name] for figures in row.subjects.values() if name in figures]
                assert not each or mean == pytest.approx(sum(each) / len(each), abs=0.011), (row.method, name)


def test_whole_and_in_box_differ_by_the_boxes_area() -> None:
    """NeuralBody's two tables: 6.05 dB, so boxes of a quarter of the image."""
    rows = rows_of(PUBLISHED, "zju-D", "novel_view")
    whole = next(row for row in rows if row.method == "NeuralBody, whole image").figures["psnr_whole"]
    in_box = next(row for row in rows if row.method == "NeuralBody").figures["psnr_box"]
    assert 10 ** ((in_box - whole) / 10) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": ()}, "measures: expected names that differ"),
        ({"box_padding_m": None}, "box_padding_m: expected metres"),
        ({"num_views": 3}, "either subjects or num_views"),
    ],
)
def test_protocols_are_checked(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PROTOCOLS["zju-D"], **change)
