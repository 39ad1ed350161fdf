"""``avatar evaluate --protocol`` and ``avatar fit --split PROTOCOL``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from avatar.captures import open_capture
from avatar.evaluate.protocols import PROTOCOLS, PUBLISHED, ProtocolImage, ProtocolReport, compared, rows_of
from avatar.runs import RunRecord
from avatar.structs import Frame, Rendering
from tools.protocol import ProtocolName, judge_run, pictures_of, print_lines, with_training

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Path]:
    """A run folder that says which pictures it was fitted to."""

    def make(split: str) -> Path:
        record = RunRecord(recipe="hybrid", seed=0, capture="dancer", split=split, frame_rate_hz=8.0)
        (tmp_path / split).mkdir()
        record.write(tmp_path / split)
        return tmp_path / split

    return make


def grey(frame: Frame) -> Rendering:
    """The person's outline in grey."""
    alpha = frame.is_foreground.float()
    return Rendering(color=0.5 * alpha[..., None].expand(-1, -1, 3), alpha=alpha)


def test_the_command_knows_every_protocol() -> None:
    assert set(get_args(ProtocolName)) == PROTOCOLS.keys()


def test_figures_are_kept_and_printed(run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    capture = open_capture(SAMPLE, pictures=pictures_of("spare-3"))
    split = capture.split("test_novel_view")
    short = replace(capture, splits={split.name: replace(split, frame_ids=split.frame_ids[:1])})
    folder = run("spare-3")
    (report,) = judge_run(folder, "spare-3", short, grey)
    assert len(report.images) == len(capture.cameras) - 3
    assert ProtocolReport.read(folder / "protocols" / "spare-3_novel_view.json") == report
    out = capsys.readouterr().out
    assert "spare-3 novel_view" in out
    assert f"{report.mean('psnr'):.2f}" in out
    judge_run(run("train"), "spare-3", short, grey)
    assert "not fitted to the pictures of spare-3; to compare, fit with --split spare-3" in capsys.readouterr().out


def test_a_fit_to_another_protocol_is_refused(run: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match=r"fitted to the pictures of spare-9; its figures do not compare with spare-3"):
        judge_run(run("spare-9"), "spare-3", open_capture(SAMPLE), grey)


def test_a_protocols_pictures_are_a_split_to_fit_to() -> None:
    capture = with_training(open_capture(SAMPLE), "spare-3")
    assert len(capture.split("spare-3").camera_ids) == 3
    with pytest.raises(ValueError, match=r"zju-A: expected one of the captures my_377"):
        with_training(capture, "zju-A")


def test_our_line_stands_under_the_published_table(capsys: pytest.CaptureFixture[str]) -> None:
    protocol = PROTOCOLS["zju-A"]
    image = ProtocolImage(frame_id=0, camera_id=0, figures={m.name: 12.3456 for m in protocol.measures})
    report = ProtocolReport(protocol="zju-A", subject="my_377", part="novel_view", is_by_frame=False, images=(image,))
    print_lines(protocol, "novel_view", compared(protocol, rows_of(PUBLISHED, "zju-A", "novel_view"), [report]))
    lines = capsys.readouterr().out.splitlines()
    instant = next(index for index, line in enumerate(lines) if "InstantNVR" in line and "31.01" in line)
    ours = next(index for index, line in enumerate(lines) if "my_377" in line)
    assert "0.971*" in lines[instant]
    assert ours > instant
    assert "12.346" in lines[ours]
    assert "* not confirmed by a primary source" in lines
