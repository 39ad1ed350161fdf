"""What a user does in the viewer, in a real browser: open, play, compare, drop a motion, keep the page, open it alone.

Pictures of the way are kept in the folder that AVATAR_ARTEFACTS names.
"""

import io
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load

from avatar.canonical import HybridConfig
from avatar.captures import open_capture
from avatar.checkpoint import load_hybrid, newest_checkpoint
from avatar.evaluate.metrics import psnr, psnr_mask, quantised
from avatar.evaluate.protocol import METRICS, ImageResult, Report
from avatar.export import web_motion
from avatar.geometry import slerp
from avatar.model import HybridAvatarConfig
from avatar.render import render
from avatar.runs import RunRecord, fitted_motion
from avatar.train import HybridFit, HybridFitConfig, Limits
from tools.benches.browser import chromium
from viewer.built_page import built_page
from viewer.guard import DoorConfig
from viewer.server import create_app
from viewer.viewer import ViewConfig, Viewer

from .conftest import SAMPLE, listening

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives a browser")

JUMPING_JACKS = SAMPLE.parent / "jumping_jacks.bvh"
STEPS, GAUSSIANS = 40, 2000


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run: the dancer after the first steps of a fit, evaluated."""
    runs = tmp_path_factory.mktemp("runs")
    capture = open_capture(SAMPLE, "all")
    config = HybridFitConfig(avatar=HybridAvatarConfig(canonical=HybridConfig(num_gaussians=GAUSSIANS)), clothe=None)
    for _ in HybridFit(capture, capture.split("train"), runs / "dancer", config, Limits(steps=STEPS)):
        pass
    record = RunRecord(
        recipe="hybrid", seed=0, capture=capture.name, split="train", frame_rate_hz=8.0, capture_folder=str(SAMPLE)
    )
    record.write(runs / "dancer")
    image = ImageResult(
        frame_id=1, camera_id=0, camera="a", seconds=0.1, metrics=dict.fromkeys(METRICS) | {"psnr": 21.25}
    )
    report = Report(subject="dancer", split="test_novel_view", images=(image,))
    report.write(runs / "dancer" / "evaluation" / "test_novel_view.json")
    replace(report, split="test_novel_pose").write(runs / "dancer" / "evaluation" / "test_novel_pose.json")
    return runs


@pytest.fixture(scope="module")
def address(fitted: Path) -> Iterator[str]:
    """Where the viewer of the run is served."""
    with listening(create_app(Viewer(ViewConfig(runs=fitted)), DoorConfig(), built_page())) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window and without a graphics card."""
    playwright.expect.set_options(timeout=30_000)  # drawn by the processor, beside other tests
    with ExitStack() as stack:
        try:
            yield stack.enter_context(chromium())
        except ImportError as error:
            pytest.skip(str(error))


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where pictures of the page are kept."""
    folder = Path(os.environ.get("AVATAR_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Complaints:
    """What no page may do: write errors to the console, throw, or ask anybody but this machine."""

    lines: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        """Listen to a page."""
        page.on("console", lambda said: said.type == "error" and self.lines.append(said.text))
        page.on("pageerror", lambda error: self.lines.append(str(error)))
        page.on("request", lambda asked: self._is_ours(asked.url) or self.lines.append(f"asked for {asked.url}"))

    @staticmethod
    def _is_ours(url: str) -> bool:
        return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "file:", "blob:", "data:"))


@contextmanager
def opened(browser: Any, url: str, is_refused: bool = False, **options: Any) -> Iterator[Any]:
    """A page that must not complain, but for what the browser itself says of requests that are refused."""
    context = browser.new_context(**{"viewport": {"width": 880, "height": 520}, **options})
    context.set_default_timeout(30_000)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    page.goto(url)
    yield page
    lines = [line for line in complaints.lines if not (is_refused and line.startswith("Failed to load resource"))]
    assert not lines, "\n".join(lines)
    context.close()


def kept(page: Any, control: Any, path: Path) -> Path:
    """The file that a control hands to the user."""
    with page.expect_download(timeout=60_000) as download:
        control.click()
    download.value.save_as(path)
    return path


def drop(page: Any, files: dict[str, bytes]) -> None:
    """What happens when a user lets files go above the page."""
    page.evaluate(
        """(files) => {
            const dataTransfer = new DataTransfer();
            for (const [name, bytes] of files) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
            for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [[name, list(content)] for name, content in files.items()],
    )


def brightest(page: Any) -> int:
    """Of a small picture of what the stage shows: something must be there."""
    return page.evaluate(
        """async () => Math.max(...(await avatarStage.stage.picture(null, 96, 96)).data.filter((_, i) => i % 4 < 3))"""
    )


def pause(page: Any) -> None:
    """Wait until a motion plays, and stop it."""
    playwright.expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press(" ")
    playwright.expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_a_run_plays_and_is_compared_with_its_pictures(browser: Any, address: str, artefacts: Path) -> None:
    expect = playwright.expect
    with opened(browser, address) as page:
        # The only run opens, and its first motion plays at once.
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        before = page.get_by_label("Time").input_value()
        page.wait_for_function("before => document.querySelector('.scrub').value !== before", arg=before)
        pause(page)
        assert brightest(page) > 100
        page.screenshot(path=artefacts / "open.png")

        page.get_by_text("Compare", exact=True).click()
        page.get_by_text("Wipe", exact=True).click()
        box = page.locator(".compare:not([aria-busy]) .stack").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 200)
        page.mouse.up()
        expect(page.get_by_label("Where the avatar ends")).to_have_js_property("value", "25")
        page.screenshot(path=artefacts / "wipe.png")
        page.get_by_text("Error", exact=True).click()
        expect(page.get_by_text("Mean difference of the colours")).to_be_visible()
        page.screenshot(path=artefacts / "error.png")
        page.keyboard.press("Escape")
        expect(page.get_by_text("PSNR person")).to_be_hidden()


def test_the_figures_of_a_comparison_are_those_of_the_evaluation(browser: Any, address: str, fitted: Path) -> None:
    avatar, capture = load_hybrid(newest_checkpoint(fitted / "dancer")), open_capture(SAMPLE, "all")
    frame_id, camera_id = capture.split("test_novel_view").pairs()[1]
    camera = capture.cameras[camera_id]
    frame = capture.load_frame(frame_id, camera_id, False)
    with torch.no_grad():
        shown = quantised(render(avatar.eval().posed(frame.pose), camera).color)
    expected = psnr_mask(shown, frame.image, frame.is_foreground), psnr(shown, frame.image)
    with opened(browser, f"{address}#run=dancer&frame={frame_id}&compare=wipe&camera={camera.name}") as page:
        said = page.get_by_text("PSNR person").inner_text()
        # Without the frame, it is the first one with this camera; the address then has it.
        page.goto("about:blank")
        page.goto(f"{address}#run=dancer&compare=side&camera={camera.name}")
        page.get_by_text(f"{camera.name} · frame").wait_for()
        page.wait_for_url(re.compile("[&#]frame="))
        (kept_frame,) = re.findall(r"[&#]frame=(\d+)", page.url)
        assert page.get_by_text("PSNR person").inner_text().endswith(f"{camera.name} · frame {kept_frame}")
    assert said.endswith(f"{camera.name} · frame {frame_id}")
    assert [float(word) for word in re.findall(r"([\d.]+) dB", said)] == pytest.approx(expected, abs=0.05)


def test_between_two_captured_poses_the_joints_turn_evenly(browser: Any, address: str, fitted: Path) -> None:
    avatar = load_hybrid(newest_checkpoint(fitted / "dancer"))
    captured = load(web_motion(avatar, fitted_motion(avatar, fitted / "dancer"), "dancer"))
    quats, places = captured["local_quats"], captured["root_position_world"]
    with opened(browser, f"{address}#run=dancer&motion=fitted&frame=0") as page:
        time = page.get_by_label("Time")
        playwright.expect(time).to_have_attribute("max", str(19 / 8))
        time.evaluate("(slider) => { slider.value = 2.3 / 8; slider.dispatchEvent(new Event('input')); }")
        shown = page.evaluate("Array.from(avatarStage.stage.pose.localQuats)")
        place = page.evaluate("Array.from(avatarStage.stage.pose.rootPosition)")
    expected = slerp(quats[2], quats[3], torch.tensor(0.3))
    torch.testing.assert_close(torch.tensor(shown).view_as(expected), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(place), torch.lerp(places[2], places[3], 0.3), atol=1e-5, rtol=0)


def test_a_dropped_motion_plays_and_is_kept(browser: Any, address: str, artefacts: Path) -> None:
    with opened(browser, address) as page:
        pause(page)
        drop(page, {"jumping_jacks.bvh": JUMPING_JACKS.read_bytes()})
        row = page.get_by_role("button", name="jumping_jacks.bvh")
        playwright.expect(row).to_have_attribute("aria-pressed", "true")
        playwright.expect(page.get_by_text("Retargeting")).to_be_visible()
        pause(page)
        page.screenshot(path=artefacts / "dropped.png")
        page.get_by_text("Save", exact=True).click()
        page.get_by_label("Lines").select_option("480")
        page.get_by_label("Speed").select_option("4")
        page.get_by_text("Compare", exact=True).click()
        page.get_by_text("Wipe", exact=True).click()
        page.locator(".compare:not([aria-busy]) .stack").wait_for()
        video = kept(page, page.get_by_role("button", name="Save a video"), artefacts / "jumping_jacks.mp4")
        with av.open(video) as container:
            pictures = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        assert len(pictures) == round(95 / 4)
        assert pictures[0].shape[0] == 480
        # It shows the motion, not the captured pose that was compared.
        assert np.abs(pictures[0].astype(float) - pictures[12]).mean() > 0.2
        page.keyboard.press("Escape")
        page.get_by_text("Only the person").click()
        still = kept(page, page.get_by_role("button", name="Save a picture"), artefacts / "still.png")
        picture = cv2.imread(str(still), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        alpha = picture[..., 3]
        assert 0.5 < (alpha == 0).mean() < 0.98
        assert alpha.max() > 200


def test_a_skeleton_and_its_motion_travel_as_one_zip(browser: Any, address: str) -> None:
    listen = """() => { globalThis.fetch = async (path, { body }) => {
        globalThis.sent = Array.from(new Uint8Array(await body.arrayBuffer()));
        return new Response('{"detail": "12.zip: heard"}', { status: 422 });
    } }"""
    files = {"12_01.amc": bytes(range(256)), "12.ASF": "Gelände".encode()}
    with opened(browser, f"{address}#run=dancer&frame=0") as page:
        playwright.expect(page.get_by_text("frame 0")).to_be_attached()
        page.evaluate(listen)
        drop(page, files)
        playwright.expect(page.get_by_text("12.zip: heard")).to_be_visible()
        sent = bytes(page.evaluate("sent"))
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_the_page_is_kept_and_opens_alone(browser: Any, address: str, artefacts: Path, tmp_path: Path) -> None:
    with opened(browser, address) as page:
        pause(page)
        page.get_by_text("Save", exact=True).click()
        saved = kept(page, page.get_by_role("link", name="Save the page"), tmp_path / "dancer.html")
    with opened(browser, "about:blank", offline=True) as page:
        page.goto(saved.as_uri())
        pause(page)
        assert brightest(page) > 100
        playwright.expect(page.get_by_text("Compare", exact=True)).to_have_count(0)
        drop(page, {"jumping_jacks.bvh": JUMPING_JACKS.read_bytes()})
        playwright.expect(page.get_by_role("status").filter(has_text="avatar view")).to_be_visible()
        page.screenshot(path=artefacts / "alone.png")


def test_keys_lead_everywhere_on_a_phone_too(browser: Any, address: str, artefacts: Path) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": "light"}
    with opened(browser, f"{address}#run=dancer&frame=0", **phone) as page:
        expect = playwright.expect
        expect(page.get_by_text("frame 0")).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("Time")).not_to_have_value("0")
        page.keyboard.press("2")
        expect(page.get_by_role("radio", name="Mesh")).to_be_checked()
        page.keyboard.press("s")
        expect(page.get_by_role("switch", name="Skeleton")).to_be_checked()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.screenshot(path=artefacts / "help.png")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("c")
        expect(page.get_by_role("radio", name="Live")).to_be_checked()
        page.screenshot(path=artefacts / "phone.png")
        unnamed = "input:not([type=file]), button, select"
        assert page.evaluate(
            "query => [...document.querySelectorAll(query)].every((control) => control.labels?.length || "
            "control.getAttribute('aria-label') || control.textContent.trim())",
            unnamed,
        )


def test_an_orbit_has_the_whole_person_all_around(browser: Any, address: str, artefacts: Path) -> None:
    still = "#run=dancer&motion=fitted&frame=0"
    with opened(browser, address + still, viewport={"width": 640, "height": 420}) as page:
        playwright.expect(page.get_by_text("frame 0")).to_be_attached()
        page.keyboard.press("g")
        page.evaluate(
            """() => {
                const { stage } = avatarStage, picture = stage.picture.bind(stage);
                let [count, last] = [0, null]; // one picture of twenty is enough, and faster
                stage.picture = (...seen) => (count++ % 20 ? last : (last = picture(...seen)));
            }"""
        )
        page.get_by_text("Save", exact=True).click()
        page.get_by_label("Lines").select_option("480")
        page.get_by_text("Orbit", exact=True).click()
        video = kept(page, page.get_by_role("button", name="Save a video"), artefacts / "orbit.mp4")
    with av.open(video) as container:
        pictures = np.stack([picture.to_ndarray(format="gray") for picture in container.decode(video=0)])
    assert len(pictures) == 6 * 30
    seen = pictures > 40
    for margin in (seen[:, :8], seen[:, -8:], seen[..., :8], seen[..., -8:]):
        assert not margin.any()
    heights = seen.any(axis=2).sum(axis=1)
    assert 0.55 * 480 < heights.min() <= heights.max() < 0.95 * 480


def test_what_comes_late_is_not_shown_and_what_came_meanwhile_is(browser: Any, fitted: Path, tmp_path: Path) -> None:
    for name in ("dancer", "twin"):
        shutil.copytree(fitted / "dancer", tmp_path / name)
    app, expect = create_app(Viewer(ViewConfig(runs=tmp_path)), DoorConfig(), built_page()), playwright.expect
    with listening(app) as port, opened(browser, "about:blank") as page:
        late: list[Any] = []
        page.route("**/dancer/scene", lambda route: late.append(route))
        page.goto(f"http://127.0.0.1:{port}/#run=dancer")
        expect(page.get_by_text("Asks for the avatar")).to_be_visible()
        (checkpoint,) = (tmp_path / "twin").glob("checkpoint-*")
        with page.expect_request("**/twin/scene"):
            page.evaluate("location.hash = 'run=twin'")
        checkpoint.rename(checkpoint.with_name("checkpoint-0000090"))
        expect(page.get_by_role("heading", level=1)).to_have_text("twin")
        expect(page.get_by_text("step 90", exact=False).first).to_be_visible()
        late.pop().continue_()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("heading", level=1)).to_have_text("twin")

        rows = JUMPING_JACKS.read_text().splitlines()
        start = next(i for i, row in enumerate(rows) if row.startswith("Frames:"))
        drop(page, {"still.bvh": "\n".join([*rows[:start], "Frames: 1", *rows[start + 1 : start + 3], ""]).encode()})
        expect(page.get_by_text("Plays still.bvh")).to_be_visible()
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()  # one frame does not
        page.get_by_role("button", name="All runs").click()
        page.wait_for_timeout(500)
        assert page.evaluate("location.hash") == ""


def test_what_is_not_there_is_said(browser: Any, address: str, artefacts: Path) -> None:
    with opened(browser, f"{address}#run=nobody", is_refused=True) as page:
        playwright.expect(page.get_by_text("There is no run called nobody here.")).to_be_visible()
        page.screenshot(path=artefacts / "runs.png")
        page.route("**/scene", lambda route: route.abort())
        page.get_by_role("button", name="dancer").click()
        playwright.expect(page.get_by_role("alert")).to_contain_text("avatar view")
        page.screenshot(path=artefacts / "stopped.png")
        page.unroute("**/scene")
        page.get_by_role("button", name="Try again").click()
        playwright.expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.keyboard.press(" ")
        drop(page, {"broken.bvh": b"HIERARCHY\nnonsense"})
        playwright.expect(page.get_by_role("status").filter(has_text="broken.bvh: ")).to_be_visible()
