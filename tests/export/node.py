"""JavaScript on files: tools of the web that read what we write."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


def run_module(package: str, program: str, *arguments: object) -> Any:
    """The last line, as JSON, that a module with ``package`` prints; skips where Node or the package is missing."""
    node = shutil.which("node")
    if node is None or not (VIEWER / "node_modules" / package).is_dir():
        pytest.skip(f"{package} is not installed: run `make node-tools`")
    words = [node, "--input-type=module", "--eval", program, "--", *map(str, arguments)]
    done = subprocess.run(words, cwd=VIEWER, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
