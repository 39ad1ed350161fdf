"""The page: valid HTML that needs nothing but its folder, whatever is missing."""

from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest

from avatar.evaluate import Report, collect_examples, evaluate, write_report
from avatar.evaluate.charts import Axis, training_charts
from avatar.evaluate.gallery import choose
from avatar.structs import Capture, Frame, Rendering

Renderer = Callable[[Frame], Rendering]
pytestmark = pytest.mark.usefixtures("empty_cache")
VOID = {"meta", "img", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Collects links and text; fails on tags that do not nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def report(capture: Capture, render_frame: Renderer) -> Report:
    return evaluate(capture, "test", render_frame)


def test_page_with_everything(capture: Capture, render_frame: Renderer, report: Report, tmp_path: Path) -> None:
    events = [
        {"step": i, "seconds": i * 0.5, "loss": 1 / (i + 1), "psnr": 20 + i, "num_gaussians": 100 * i} for i in range(9)
    ]
    (tmp_path / "turn.mp4").write_bytes(b"film")
    index = write_report(
        tmp_path / "report",
        subject="a <b>man</b> & co",
        reports=[report],
        facts={"recipe": "<script>alert(1)</script>"},
        examples=collect_examples(capture, report, render_frame, 4, lambda frame: 1 - frame.image),
        events=events,
        turntable=tmp_path / "turn.mp4",
    )
    page = Page(index)
    assert "a <b>man</b> & co" in page.text  # escaped in the file: a reader sees the characters
    assert "<script>alert(1)</script>" in page.text
    assert "<b>right</b> & co" in page.text
    assert page.tags.count("script") == 1
    assert page.tags.count("svg") == 3
    assert page.links.count("turn.mp4") == 1
    assert len(page.links) == 1 + 4 * 4
    assert page.text.count("clothed surface") == 4
    assert all((index.parent / link).is_file() for link in page.links)
    assert "http" not in index.read_text("utf-8")
    assert "not computed (avatar assets fetch lpips)" in page.text
    assert f"{report.mean('psnr'):.2f}" in page.text


def test_page_with_nothing(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, subject="nobody", reports=[]))
    assert "nobody" in page.text
    assert not page.links
    assert "section" not in page.tags


def test_page_without_pictures(report: Report, tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, subject="someone", reports=[report], events=[{"step": 1}, {"note": "x"}]))
    assert not page.links
    assert "All 6 images, worst first" in page.text


def test_a_turntable_already_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "turn.mp4").write_bytes(b"film")
    write_report(tmp_path, subject="someone", reports=[], turntable=tmp_path / "turn.mp4")
    assert (tmp_path / "turn.mp4").read_bytes() == b"film"
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path, subject="someone", reports=[], turntable=tmp_path / "none" / "turn.mp4")


def test_pictures_are_cut_to_the_person(
    capture: Capture, render_frame: Renderer, report: Report, tmp_path: Path
) -> None:
    write_report(tmp_path, subject="x", reports=[report], examples=collect_examples(capture, report, render_frame, 1))
    truth, error = (cv2.imread(str(next(tmp_path.glob(f"*_{kind}.png")))) for kind in ("truth", "error"))
    assert truth is not None
    assert error is not None
    assert truth.shape == error.shape == (100 + 24, 50 + 24, 3)
    assert truth[62, 37].tolist() == [102, 102, 102]
    assert error[0, 0].sum() < 10 < error[62, 37].sum()


def test_worst_median_and_best_are_chosen_first(report: Report) -> None:
    chosen = choose(report, 5)
    labels = {label: report.images[index].frame_id for index, label in chosen.items() if label}
    assert (labels["worst"], labels["best"], len(chosen)) == (0, 2, 5)
    assert list(choose(report, 2).values()) == ["worst", "median"]
    assert choose(report, 0) == {}


def test_charts_tolerate_gaps() -> None:
    rows: list[dict[str, object]] = [{"step": i, "psnr": 20.0 + i} for i in range(5)]
    rows += [{"step": 5, "psnr": float("nan")}, {"step": 6, "psnr": None}, {"psnr": 3.0}, {"step": 7, "psnr": "high"}]
    (chart,) = training_charts(rows)
    assert "PSNR" in chart
    assert "<b>24</b>" in chart
    assert training_charts([]) == []
    assert training_charts([{"seconds": 1.0, "loss": 0.5}]) == []


@pytest.mark.parametrize("loss", [[0.5, 0.5], [0.0, 1.0], [1e-3, 1e3]])
def test_charts_of_flat_zero_and_wide_series(loss: list[float]) -> None:
    (chart,) = training_charts([{"step": i, "loss": value} for i, value in enumerate(loss)])
    assert "nan" not in chart


def test_ticks_are_round_numbers_in_range() -> None:
    axis = Axis(low=19.3, high=33.7, start_px=0, end_px=100)
    assert axis.ticks() == [20, 22, 24, 26, 28, 30, 32]
    assert axis.place(26.5) == pytest.approx(50)
    assert Axis(low=0.015, high=0.4, start_px=0, end_px=1, logarithmic=True).ticks() == pytest.approx(
        [0.02, 0.05, 0.1, 0.2]
    )
