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
from tools.protocol import ProtocolName, judge_run, pictures_of, print_lines, print_subjects, with_training

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"


def judged(folder: Path, subject: str, psnr: float, split: str = "zju-A") -> Path:
    """The run folder of a subject of zju-A, all whose figures are one number."""
    run = folder / subject
    run.mkdir()
    RunRecord(recipe="hybrid", seed=0, capture=subject, split=split, frame_rate_hz=8.0).write(run)
    figures = {measure.name: psnr for measure in PROTOCOLS["zju-A"].measures}
    image = ProtocolImage(frame_id=0, camera_id=0, figures=figures)
    report = ProtocolReport(protocol="zju-A", subject=subject, part="novel_view", is_by_frame=False, images=(image,))
    report.write(run / "protocols" / "zju-A_novel_view.json")
    return run


def ours(out: str) -> list[list[str]]:
    """The words of our lines of the printed table, without its frame."""
    lines = (line.replace("│", " ").split() for line in out.splitlines())
    return [words for words in lines if words[:1] == ["avatar"]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken."""
    monkeypatch.setattr("tools.console._width", 200)


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


def test_a_line_for_each_subject_and_then_the_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six subjects of zju-A with 30, 31, 32, 33, 34, 35: their mean is 32.5."""
    runs = [judged(tmp_path, subject, 30.0 + index) for index, subject in enumerate(PROTOCOLS["zju-A"].subjects)]
    assert print_subjects("zju-A", runs) == {}
    out = capsys.readouterr().out
    lines = ours(out)
    assert [words[1:3] for words in lines[:-1]] == [
        [subject, f"{30 + index}.00"] for index, subject in enumerate(PROTOCOLS["zju-A"].subjects)
    ]
    assert lines[-1][1:4] == ["6", "subjects", "32.50"]
    assert "partial" not in out
    assert out.index("GauHuman") < out.index("my_377")


def test_a_mean_that_lacks_subjects_is_called_partial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [judged(tmp_path, subject, psnr) for subject, psnr in (("my_377", 30.0), ("my_394", 31.0))]
    lacking = ["my_386", "my_387", "my_392", "my_393"]
    assert print_subjects("zju-A", runs) == {"zju-A novel_view": lacking}
    out = capsys.readouterr().out
    assert ours(out)[-1][1:6] == ["2", "of", "6", "subjects", "30.50"]
    assert "a partial mean, over 2 of 6 subjects; without my_386, my_387, my_392, my_393" in " ".join(out.split())


def test_one_subject_under_two_names_has_no_table(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    runs = [judged(tmp_path, "my_377", 30.0), judged(tmp_path / "again", "my_377", 31.0)]
    with pytest.raises(ValueError, match="each subject once"):
        print_subjects("zju-A", runs)


def test_one_subject_has_no_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_subjects("zju-A", [judged(tmp_path, "my_377", 30.0)]) != {}
    out = " ".join(capsys.readouterr().out.split())
    assert "no mean, over 1 of 6 subjects" in out


def test_fits_to_other_pictures_say_so_in_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_subjects("zju-A", [judged(tmp_path, "my_377", 30.0, "train")])
    assert "avatar (fitted to train)" in capsys.readouterr().out
