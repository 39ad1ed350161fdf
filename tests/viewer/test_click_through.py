"""What a user does in the viewer, in a real browser: open, play, compare, drop a motion, keep the page, open it alone.

Pictures of the way are kept in the folder that AVATAR_ARTEFACTS names.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from avatar.canonical import HybridConfig
from avatar.captures import open_capture
from avatar.evaluate.protocol import METRICS, ImageResult, Report
from avatar.model import HybridAvatarConfig
from avatar.runs import RunRecord
from avatar.train import HybridFit, HybridFitConfig, Limits
from viewer.built_page import built_page
from viewer.guard import DoorConfig
from viewer.server import create_app
from viewer.viewer import ViewConfig, Viewer

from .conftest import SAMPLE, listening

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives a browser")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
STEPS, GAUSSIANS, NUM_FRAMES = 60, 3000, 8
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")

# Joints with their offsets in centimetres, y up: the bones of a plain standing person with its arms out.
LEFT_LEG: dict[str, Any] = {"LeftUpLeg 9 -8 0": {"LeftLeg 0 -42 0": {"LeftFoot 0 -42 0": {"LeftToeBase 0 -7 14": {}}}}}
LEFT_ARM: dict[str, Any] = {"LeftShoulder 4 12 0": {"LeftArm 14 0 0": {"LeftForeArm 28 0 0": {"LeftHand 25 0 0": {}}}}}


def mirrored(tree: dict[str, Any]) -> dict[str, Any]:
    """The other side of the body."""
    renamed = {}
    for joint, children in tree.items():
        name, x, *others = joint.split()
        renamed[" ".join([name.replace("Left", "Right"), str(-float(x)), *others])] = mirrored(children)
    return renamed


CHEST = {"Spine1 0 20 0": {"Neck 0 18 0": {"Head 0 9 0": {}}, **LEFT_ARM, **mirrored(LEFT_ARM)}}
BODY = {"Hips 0 95 0": {**LEFT_LEG, **mirrored(LEFT_LEG), "Spine 0 12 0": CHEST}}


def hierarchy(tree: dict[str, Any], kind: str = "ROOT") -> Iterator[str]:
    """The lines of a BVH skeleton."""
    for joint, children in tree.items():
        name, *offset = joint.split()
        places = "Xposition Yposition Zposition " if kind == "ROOT" else ""
        yield f"{kind} {name}\n{{\nOFFSET {' '.join(offset)}"
        yield f"CHANNELS {6 if places else 3} {places}Zrotation Xrotation Yrotation"
        yield from hierarchy(children, "JOINT") if children else ["End Site\n{\nOFFSET 0 4 0\n}"]
        yield "}"


def waving_bvh() -> bytes:
    """A person who raises both arms in turn, as a BVH file."""
    lines = list(hierarchy(BODY))
    names = [line.split()[1].split("\n")[0] for line in lines if line.startswith(("ROOT", "JOINT"))]
    frames = []
    for frame in range(NUM_FRAMES):
        turns = dict.fromkeys(names, 0.0) | {"LeftArm": 10.0 * frame - 70, "RightArm": 70 - 5.0 * frame}
        frames.append(" ".join(["0 95 0", *(f"{turns[name]} 0 0" for name in names)]))
    motion = [f"MOTION\nFrames: {NUM_FRAMES}\nFrame Time: 0.1", *frames]
    return "\n".join(["HIERARCHY", *lines, *motion, ""]).encode()


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
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


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
    context = browser.new_context(**{"viewport": {"width": 1000, "height": 640}, **options})
    context.set_default_timeout(30_000)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    page.goto(url)
    yield page
    lines = [line for line in complaints.lines if not (is_refused and line.startswith("Failed to load resource"))]
    assert not lines, "\n".join(lines)
    context.close()


def drop(page: Any, name: str, content: bytes) -> None:
    """What happens when a user lets a file go above the page."""
    page.evaluate(
        """([name, bytes]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
            for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, list(content)],
    )


def brightest(page: Any) -> int:
    """Of a small picture of what the stage shows: something must be there."""
    return page.evaluate(
        """async () => Math.max(...(await avatarStage.stage.picture(null, 96, 96)).data.filter((_, i) => i % 4 < 3))"""
    )


def test_a_user_opens_plays_compares_drops_and_keeps(
    browser: Any, address: str, artefacts: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "dancer.html"
    with opened(browser, address) as page:
        expect = playwright.expect
        # The only run opens, and its first motion plays at once.
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        clock = page.get_by_label("Time")
        before = clock.input_value()
        page.wait_for_function("before => document.querySelector('.scrub').value !== before", arg=before)
        page.keyboard.press(" ")
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        assert brightest(page) > 100
        page.screenshot(path=artefacts / "open.png")

        # Against the captured picture: the numbers are those of a fit that has begun, not of nothing.
        page.get_by_text("Compare", exact=True).click()
        page.get_by_text("Wipe", exact=True).click()
        facts = page.get_by_text("PSNR person")
        expect(facts).to_be_visible()
        assert 10 < float(facts.inner_text().split()[2]) < 40
        handle = page.get_by_label("Where the avatar ends")
        box = page.locator(".compare:not([aria-busy]) .stack").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 200)
        page.mouse.up()
        page.wait_for_timeout(100)
        assert float(handle.input_value()) == pytest.approx(25, abs=2)
        page.screenshot(path=artefacts / "wipe.png")
        page.get_by_text("Error", exact=True).click()
        expect(page.get_by_text("Mean difference of the colours")).to_be_visible()
        page.screenshot(path=artefacts / "error.png")
        page.keyboard.press("Escape")
        expect(facts).to_be_hidden()

        # A motion file is retargeted and plays.
        drop(page, "wave.bvh", waving_bvh())
        expect(page.get_by_role("button", name="wave.bvh")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_text("Retargeting")).to_be_visible()
        page.keyboard.press(" ")
        page.screenshot(path=artefacts / "dropped.png")

        with page.expect_download() as download:
            page.get_by_text("Save", exact=True).click()
            page.get_by_role("link", name="Save the page").click()
        download.value.save_as(saved)
    alone(browser, saved, artefacts)


def alone(browser: Any, saved: Path, artefacts: Path) -> None:
    """The saved page opens from the disk, without a network."""
    with opened(browser, "about:blank", offline=True) as page:
        page.goto(saved.as_uri())
        playwright.expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.keyboard.press(" ")
        assert brightest(page) > 100
        playwright.expect(page.get_by_text("Compare", exact=True)).to_have_count(0)
        drop(page, "wave.bvh", waving_bvh())
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
        drop(page, "broken.bvh", b"HIERARCHY\nnonsense")
        playwright.expect(page.get_by_role("status").filter(has_text="broken.bvh: ")).to_be_visible()
