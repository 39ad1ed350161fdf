"""The page, an avatar and its motions in one HTML file that plays offline, wherever it is opened from."""

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from avatar.export import web_motion, web_scene
from avatar.model import HybridAvatar

from .built_page import built_page
from .contract import Metrics, as_json
from .motions import NamedMotion

# Nothing is asked of any server, not even of the one that the file may be put on.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob: data:; style-src 'unsafe-inline'; "
    "img-src blob: data:; media-src blob:; connect-src blob: data:; base-uri 'none'; form-action 'none'"
)
SCRIPT = re.compile(r'<script\b[^>]*\bsrc="\./([^"]+)"[^>]*></script>')
STYLE = re.compile(r'<link\b[^>]*\brel="stylesheet"[^>]*\bhref="\./([^"]+)"[^>]*>')
ELSEWHERE = re.compile(r'<(?:script|link|img)\b[^>]*\b(?:src|href)="(?!data:)')


def one_file_page(
    avatar: HybridAvatar, name: str, motions: Sequence[NamedMotion], metrics: Sequence[Metrics] = ()
) -> str:
    """The page of an avatar called ``name`` there. FileNotFoundError where the page was not built."""
    embedded = {
        "name": name,
        "scene": _packed(web_scene(avatar, name)),
        "motions": [
            {"name": named.name, "data": _packed(web_motion(avatar, named.motion, named.name, list(named.notes)))}
            for named in motions
        ],
        "metrics": json.loads(as_json(metrics)),
    }
    return with_data(inlined(built_page()), embedded)


def inlined(files: Mapping[str, bytes]) -> str:
    """The built page with its script and style sheet in it. ValueError where it loads anything else."""
    page = files["index.html"].decode()
    page = STYLE.sub(lambda found: f"<style>{_style(files[found[1]].decode())}</style>", page)
    page = SCRIPT.sub(lambda found: f'<script type="module">{_script(files[found[1]].decode())}</script>', page)
    markup = re.sub(r"(<(script|style)\b[^>]*>).*?(</\2>)", r"\1\3", page, flags=re.DOTALL)
    if found := ELSEWHERE.search(markup):
        raise ValueError(f"the built page loads more than a script and a style sheet: {found[0]}; build it again")
    return page


def with_data(page: str, embedded: Mapping[str, Any]) -> str:
    """The page with what it shows, before its scripts."""
    data = as_json(embedded).decode().replace("<", "\\u003c")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    script = f'<script type="application/json" id="avatar-embedded">{data}</script>'
    return page.replace("<head>", f"<head>\n{policy}\n{script}", 1)


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def _script(code: str) -> str:
    """Code that an HTML parser leaves alone: both of these occur in strings only, where the escape means the same."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def _style(rules: str) -> str:
    return re.sub(r"</(?=style)", r"<\\/", rules, flags=re.IGNORECASE)
