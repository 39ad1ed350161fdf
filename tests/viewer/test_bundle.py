"""The built page that ships: made of the sources beside it, small, and asking nobody for anything."""

import gzip
import hashlib
import json
import re
from pathlib import Path

VIEWER = Path(__file__).resolve().parents[2] / "viewer"
STATIC = VIEWER / "static"
MOST_BYTES = 250_000
NAMESPACES = {
    "www.w3.org",
    "jcgt.org",
    "github.com",
}  # names of XML elements, and sources in comments; nobody asks them


def test_it_is_built_from_the_sources_beside_it():
    """After a change of viewer/page: ``make viewer``, and commit viewer/static."""
    names = [path.relative_to(VIEWER).as_posix() for path in (VIEWER / "page").rglob("*") if path.is_file()]
    found = hashlib.sha256()
    for name in sorted([*names, "vite.config.ts"]):
        found.update(f"{name}\0".encode() + (VIEWER / name).read_bytes() + b"\0")
    assert json.loads((STATIC / "build.json").read_bytes())["sources"] == found.hexdigest()


def test_it_is_small():
    assert sum(len(gzip.compress(path.read_bytes(), 6)) for path in STATIC.iterdir()) <= MOST_BYTES


def test_it_asks_nobody_for_anything():
    """No element of the page names another host, and its code knows none."""
    text = {path.name: path.read_text("utf-8") for path in STATIC.iterdir() if path.suffix in (".html", ".js", ".css")}
    for url in re.findall(r"""(?:src|href)=["']([^"']*)""", text["index.html"]):
        assert url.startswith(("./", "data:")), url
    hosts = {host for content in text.values() for host in re.findall(r"\b(?:https?|wss?)://([\w.-]+)", content)}
    assert hosts <= NAMESPACES, hosts
