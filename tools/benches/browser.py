"""The built page of the viewer in a Chromium without a window, drawing on the processor."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

STATIC: Final = Path(__file__).resolve().parents[2] / "viewer" / "static"
ADDRESS: Final = "http://viewer.test"
FLAGS: Final = (
    *("--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A Chromium without a window; ImportError where it or playwright is missing."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise ImportError("No Chromium on the path: install one, such as the package chromium.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def stage_page(files: Mapping[str, bytes]) -> Iterator[Any]:
    """Nothing but a stage of 300 x 200 pixels, ``avatarStage``, that can fetch ``files`` as they are then.

    No request leaves this process. Raises ImportError where playwright or a Chromium is missing.
    """

    def serve(route: Any) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/")
        if name in files:
            route.fulfill(body=files[name])
        elif (STATIC / name).is_file():
            route.fulfill(path=STATIC / name)
        else:
            route.fulfill(status=404)

    with chromium() as browser:
        page = browser.new_page(viewport={"width": 300, "height": 200})
        page.route("**/*", serve)
        page.goto(f"{ADDRESS}/index.html#stage")
        page.wait_for_function("globalThis.avatarStage")
        page.evaluate("avatarStage.stage.setFloorVisible(false)")
        yield page
