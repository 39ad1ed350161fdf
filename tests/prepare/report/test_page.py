"""The page: valid HTML that needs nothing but itself, whatever is missing."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.prepare import BoneLength, CameraFindings, Findings, MotionSignal, write_report
from avatar.prepare.report.page import spread
from avatar.structs import Capture, Frame
from tools.benches.browser import chromium

MakeCapture = Callable[[int], Capture]
MakeFindings = Callable[[Capture], Findings]
VOID = {"meta", "img", "input"}
NAME = "<b>&\"'cam"


class Page(HTMLParser):
    """Collects tags, addresses, ids and text; fails on tags that do not nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str] = []
        self.text = ""
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value for name in ("src", "href") if (value := found.get(name))]
        self.ids += [found["id"] or ""] if "id" in found else []
        self.alts += [found.get("alt") or ""] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def camera(index: int, name: str) -> CameraFindings:
    return CameraFindings(
        name=name,
        video=f"{name}.mp4",
        offset_s=0.25 * index,
        sync_confidence=0.5,
        missing=index,
        unseen=0,
        before_px=8.0,
        after_px=4.0,
        unrest=0.01,
        notes=(f"{name} has a letterbox",),
    )


def named(capture: Capture) -> Capture:
    """The three cameras of ``everything``."""
    cameras = zip(capture.cameras, ("one", NAME, "three"), strict=True)
    return replace(capture, cameras=tuple(replace(camera, name=name) for camera, name in cameras))


def everything(findings: Findings) -> Findings:
    """Three cameras of which all is known: the last one is bad, most so in frame 5."""
    shape = findings.overlaps.shape
    residuals = torch.ones(shape)
    residuals[:, 2], residuals[5, 2] = 6.0, 40.0
    times = np.arange(60) / 20
    signal = MotionSignal(times_s=times, values=np.sin(3 * times)[:, None])
    return replace(
        findings,
        cameras=tuple(camera(i, name) for i, name in enumerate(("one", NAME, "three"))),
        signals=(signal,) * 3,
        residuals_px=residuals,
        fit_residuals_px=torch.ones(shape),
        disagreements=torch.full(shape, 0.01, dtype=torch.float64),
        overlaps=torch.full(shape, 0.95),
        bones=(BoneLength(name="left_hip to right_hip", metres=0.4, spread_m=0.01),),
        is_refined=True,
        warnings=(f"{NAME} is late", "a < b & c"),
    )


def test_page_with_everything(make_capture: MakeCapture, nothing: MakeFindings, tmp_path: Path) -> None:
    capture = named(make_capture(3))
    index = write_report(everything(nothing(capture)), capture, tmp_path / "report")
    page = Page(index)
    assert [path.name for path in index.parent.iterdir()] == ["index.html"]
    assert page.tags.count("section") == 5
    for text in (NAME, f"{NAME}.mp4", f"{NAME} has a letterbox", f"{NAME} is late", "a < b & c", "2 weak spots"):
        assert text in page.text  # escaped in the file: a reader sees the characters
    assert "<b>&" not in page.source
    assert all(page.alts)
    assert len(set(page.ids)) == len(page.ids)
    assert all(where.startswith("data:image/") or where[1:] in page.ids for where in page.addresses)
    assert "http" not in page.source.replace("data:image", "")
    assert not re.search(
        r"\b(nan|inf|None)\b", page.text.partition("cameras")[2].partition("use strict")[0], re.IGNORECASE
    )
    assert page.text.index("three.mp4") < page.text.index("one.mp4")  # the worst camera first
    assert page.ids.index("frame-5-of-2") == min(i for i, name in enumerate(page.ids) if name.startswith("frame-"))


def test_one_camera_leaves_out_what_needs_several(
    make_capture: MakeCapture, nothing: MakeFindings, tmp_path: Path
) -> None:
    capture = make_capture(1)
    findings = replace(nothing(capture), fit_residuals_px=torch.full((capture.num_frames, 1), 2.0))
    page = Page(write_report(findings, capture, tmp_path))
    assert page.tags.count("section") == 3
    assert all(title not in page.text for title in ("Clocks", "Bones", "Cameras against each other", "clock"))
    assert "Nothing weak was found" in page.text
    assert "Body against landmarks" in page.text


def test_page_without_any_figure_or_picture(make_capture: MakeCapture, nothing: MakeFindings, tmp_path: Path) -> None:
    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        raise FileNotFoundError(f"{frame_id}.jpg: is not there")

    capture = replace(make_capture(2), load_frame=load_frame)
    page = Page(write_report(nothing(capture), capture, tmp_path))
    assert "No picture can be shown" in page.text
    assert not page.addresses
    assert not re.search(r"\bnan\b", page.source, re.IGNORECASE)


def test_findings_of_another_capture_are_refused(
    make_capture: MakeCapture, nothing: MakeFindings, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"expected 9 frames of camera 0, camera 1, .* got 9 of camera 0"):
        write_report(nothing(make_capture(1)), make_capture(2), tmp_path)


def test_spread_is_even() -> None:
    assert spread(9, 3) == [1, 4, 7]
    assert spread(2, 4) == [0, 1]
    assert spread(0, 4) == []


def test_a_phone_needs_no_sideways_scroll(make_capture: MakeCapture, nothing: MakeFindings, tmp_path: Path) -> None:
    capture = named(make_capture(3))
    index = write_report(everything(nothing(capture)), capture, tmp_path)
    errors: list[object] = []
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except ImportError as error:
            pytest.skip(str(error))
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("pageerror", lambda error: errors.append(error))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or errors.append(request.url))
        page.goto(index.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.locator(".shot").first.click()
        assert page.locator("dialog figcaption").inner_text().startswith("three · frame 5")
        page.keyboard.press("ArrowRight")
        assert not page.locator("dialog figcaption").inner_text().startswith("three · frame 5")
    assert not errors
