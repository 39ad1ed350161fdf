"""The landmark models: out of either archive, whose hash must match."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from avatar import assets
from avatar.assets import cache, pose

NPM_FILES = {
    "pose_solution_packed_assets.data": b"a detector",
    "pose_landmark_heavy.tflite": b"heavy",
    "pose_landmark_full.tflite": b"full",
    "pose_landmark_lite.tflite": b"lite",
    "pose.js": b"not wanted",
}


@pytest.fixture
def npm_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package laid out like the real one, whose hash is the known one."""
    path = tmp_path / "mediapipe-pose.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in NPM_FILES.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(pose, "NPM_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel laid out like the real one, whose hash is the known one."""
    path = tmp_path / "mediapipe.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mediapipe/modules/pose_detection/pose_detection.tflite", b"another detector")
        archive.writestr("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", b"full")
    monkeypatch.setattr(pose, "PIP_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_npm_package_gives_all_models(tmp_path: Path, npm_archive: Path) -> None:
    paths = assets.fetch_pose(tmp_path / "cache", archive=npm_archive)
    contents = {model: path.read_bytes() for model, path in paths.items()}
    assert contents == {"detector": b"a detector", "heavy": b"heavy", "full": b"full", "lite": b"lite"}
    assert paths == {model: assets.pose_path(model, tmp_path / "cache") for model in assets.POSE_FILES}


def test_the_wheel_gives_two(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = assets.fetch_pose(tmp_path / "cache", archive=wheel)
    assert {model: path.read_bytes() for model, path in paths.items()} == {
        "detector": b"another detector",
        "full": b"full",
    }
    monkeypatch.setattr(pose.shutil, "which", lambda name: None)
    assert assets.fetch_pose(tmp_path / "cache") == paths, "without npm these two are all there is to fetch"


def test_what_is_there_is_not_fetched_again(tmp_path: Path, npm_archive: Path) -> None:
    first = assets.fetch_pose(tmp_path / "cache", archive=npm_archive)
    npm_archive.unlink()
    assert assets.fetch_pose(tmp_path / "cache", archive=npm_archive) == first


def test_another_archive_is_refused_unread(tmp_path: Path, npm_archive: Path, wheel: Path) -> None:
    for archive in npm_archive, wheel:
        archive.write_bytes(archive.read_bytes() + b"x")
        with pytest.raises(ValueError, match=r"mediapipe.*: expected SHA-256 .* found"):
            assets.fetch_pose(tmp_path / "cache", archive=archive)
    assert not (tmp_path / "cache").exists()


def test_failing_downloads_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose.shutil, "which", lambda name: "false")
    with pytest.raises(RuntimeError, match="cannot download @mediapipe/pose") as caught:
        assets.fetch_pose(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(pose.shutil, "which", lambda name: None)
    monkeypatch.setattr(cache.sys, "executable", "false")
    with pytest.raises(RuntimeError, match=r"cannot download mediapipe==0\.10\.21 with pip"):
        assets.fetch_pose(tmp_path)
