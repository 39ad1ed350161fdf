"""One page that needs nothing else, whatever is in its script."""

import gzip
import json
import shutil
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from avatar.checkpoint import load_hybrid
from avatar.export import web_motion
from avatar.runs import fitted_motion
from viewer.built_page import STATIC, built_page
from viewer.contract import Metrics
from viewer.motions import NamedMotion
from viewer.one_file import inlined, one_file_page, with_data

SCRIPT = 'let a = "</script><!--<script>", b = /<\\/ScRiPt>/i, c = `</SCRIPT>`;'
STYLE = 'p::after { content: "</style>" }'
FILES = {
    "index.html": b'<!doctype html><html><head><link rel="stylesheet" crossorigin href="./viewer.css">'
    b'<script type="module" crossorigin src="./viewer.js"></script></head><body></body></html>',
    "viewer.js": SCRIPT.encode(),
    "viewer.css": STYLE.encode(),
}


class Page(HTMLParser):
    """What a browser finds: elements with their attributes and text, and what they would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        """Text of the last element."""
        if self.elements:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = tag, attributes, text + data

    def only(self, tag: str, **attributes: str) -> str:
        """The text of the one element of a kind."""
        (text,) = [t for name, has, t in self.elements if name == tag and attributes.items() <= has.items()]
        return text

    def asked_for(self) -> list[str]:
        """Addresses of other files."""
        addresses = [has.get("src") or has.get("href") for _, has, _ in self.elements]
        return [address for address in addresses if address and not address.startswith("data:")]


def test_script_and_style_are_inside_and_mean_the_same():
    page = Page(inlined(FILES))
    assert page.asked_for() == []
    script = page.only("script", type="module")
    assert script.replace("\\x3c", "<") == SCRIPT
    assert page.only("style").replace("<\\/", "</") == STYLE
    assert [tag for tag, *_ in page.elements] == ["html", "head", "style", "script", "body"]


def test_a_page_that_loads_more_is_refused():
    for extra in (b'<script src="https://example.org/a.js"></script>', b'<link rel="icon" href="icon.svg">'):
        with pytest.raises(ValueError, match="loads more"):
            inlined(FILES | {"index.html": FILES["index.html"] + extra})


def test_data_cannot_leave_its_element():
    data = {"name": '</script><script>alert("x")</script><!--', "odd": "\u2028\ud800"}
    page = Page(with_data(inlined(FILES), data))
    assert json.loads(page.only("script", id="avatar-embedded")) == data
    assert [tag for tag, *_ in page.elements].count("script") == 2


def test_the_built_page_plays_alone(made: Path, tmp_path: Path):
    if not (STATIC / "index.html").is_file():
        pytest.skip("the page is not built: make viewer")
    avatar = load_hybrid(made).eval()
    motion = NamedMotion(name="walk", motion=fitted_motion(avatar, made), notes=["a note"])
    metrics = Metrics(split="test", subject="dancer", num_images=1, means={"psnr": 30.0, "ssim": None})
    page = Page(one_file_page(avatar, "dancer", [motion], [metrics]))
    assert page.asked_for() == []
    assert "default-src 'none'" in str([has for tag, has, _ in page.elements if tag == "meta"])
    embedded = json.loads(page.only("script", id="avatar-embedded"))
    assert (embedded["name"], embedded["metrics"][0]["means"]["psnr"]) == ("dancer", 30.0)
    (packed,) = embedded["motions"]
    found = load(gzip.decompress(b64decode(packed["data"])))
    expected = load(web_motion(avatar, motion.motion, "walk"))
    assert packed["name"] == "walk"
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_page_that_was_not_built_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="make viewer"):
        built_page(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("not served")
    assert built_page(tmp_path) == FILES
    shutil.rmtree(tmp_path)
