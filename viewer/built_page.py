"""The page as ``make viewer`` built it: a few files that ship with the package."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def built_page(folder: Path = STATIC) -> dict[str, bytes]:
    """The files by name, ``index.html`` and what it loads. FileNotFoundError where it was not built."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.suffix in MEDIA_TYPES}
    if "index.html" not in files:
        raise FileNotFoundError(f"{folder}: the page of the viewer is not built; run make viewer")
    return files
