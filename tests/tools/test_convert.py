"""``avatar convert``: the same capture in another layout, a part of it, another body; nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from avatar import body_conversion
from avatar.body_conversion import ConversionConfig
from avatar.capture import PictureConfig
from avatar.captures import open_capture
from avatar.structs import Capture

Command = Callable[..., int]


def opened(folder: Path) -> Capture:
    """With whatever stands behind the person."""
    return open_capture(folder, pictures=PictureConfig(keep_background=True))


def assert_same(one: Capture, other: Capture) -> None:
    """Everything, to the bit."""
    assert (one.name, one.rig, one.frame_rate_hz) == (other.name, other.rig, other.frame_rate_hz)
    assert dict(one.splits) == dict(other.splits)
    for camera, expected in zip(one.cameras, other.cameras, strict=True):
        assert (camera.name, camera.height, camera.width) == (expected.name, expected.height, expected.width)
        assert torch.equal(camera.intrinsics_px, expected.intrinsics_px)
        assert torch.equal(camera.camera_from_world, expected.camera_from_world)
    assert torch.equal(one.poses.local_quats, other.poses.local_quats)
    assert torch.equal(one.poses.root_position_world, other.poses.root_position_world)
    for pair in sorted({pair for split in one.splits.values() for pair in split.pairs()}):
        found, wanted = one.load_frame(*pair, False), other.load_frame(*pair, False)
        assert torch.equal(found.image, wanted.image)
        assert torch.equal(found.is_foreground, wanted.is_foreground)


def test_there_and_back_it_is_the_same(
    command: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("convert", "--capture", capture, "--out", tmp_path / "zju", "--layout", "zju") == 0
    assert "24 time steps, 3 cameras, 72 pictures, body anny" in (out := capsys.readouterr().out)
    assert "--rig smpl_neutral" in out
    assert command("convert", "--capture", tmp_path / "zju", "--out", tmp_path / "avatar") == 0
    for place in ("zju", "avatar"):
        assert_same(opened(tmp_path / place), opened(capture))


def test_pictures_are_not_compressed_again(command: Command, capture: Path, tmp_path: Path) -> None:
    assert (
        command("convert", "--capture", capture, "--out", tmp_path / "zju", "--layout", "zju", "--frames", "4:6") == 0
    )
    assert (tmp_path / "zju/Camera_B2/000001.jpg").read_bytes() == (capture / "camera_1/000005.jpg").read_bytes()


def test_a_part_is_a_capture(command: Command, capture: Path, tmp_path: Path) -> None:
    words = ["convert", "--capture", capture, "--cameras", "camera_3", "camera_1"]
    assert command(*words, "--out", tmp_path / "part", "--frames", "3:9") == 0
    part, whole = opened(tmp_path / "part"), opened(capture)
    assert (part.num_frames, [camera.name for camera in part.cameras]) == (6, ["camera_1", "camera_3"])
    assert torch.equal(part.poses.local_quats, whole.poses.local_quats[3:9])
    assert {name: (split.frame_ids, split.camera_ids) for name, split in part.splits.items()} == {
        "train": ((1, 5), (1,)),
        "test_novel_view": ((1, 5), (0,)),
    }
    assert torch.equal(part.load_frame(2, 1, False).image, whole.load_frame(5, 2, False).image)
    assert command(*words, "--out", tmp_path / "split", "--split", "train") == 0
    thin = opened(tmp_path / "split")
    assert (thin.num_frames, [camera.name for camera in thin.cameras]) == (4, ["camera_3"])
    assert thin.frame_rate_hz == 2.0, "every fourth time step of eight a second"


def test_pictures_that_are_not_there_are_counted(
    command: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("convert", "--capture", capture, "--out", tmp_path / "a", "--frames", "4:7") == 0
    (tmp_path / "a/camera_1/000000.jpg").unlink()
    (tmp_path / "a/mask/camera_0/000002.png").unlink()
    capsys.readouterr()
    assert command("convert", "--capture", tmp_path / "a", "--out", tmp_path / "b", "--layout", "zju") == 0
    assert "2 of 9 pictures or their masks are not in" in capsys.readouterr().out
    assert not (tmp_path / "b/Camera_B2/000000.jpg").exists()


def test_another_body_is_fitted_and_its_distance_told(
    command: Command,
    capture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coarse = ConversionConfig(num_points=50, rounds=1, person_steps=2, pose_steps=2)
    monkeypatch.setattr(body_conversion, "ConversionConfig", lambda: coarse)
    words = ["convert", "--capture", capture, "--out", tmp_path / "cmu", "--rig", "cmu_mb", "--frames", "0:3"]
    assert command(*words) == 0
    assert "anny to cmu_mb: joints " in capsys.readouterr().out
    assert opened(tmp_path / "cmu").rig == "cmu_mb"


MISTAKES = {
    "a folder that is not empty": (["--out", "{capture}"], "expected a new or empty folder"),
    "no such rig": (["--rig", "mixamo"], "rig: expected one of anny, cmu_mb,"),
    "no such split": (["--split", "dense"], "no split 'dense'"),
    "no such camera": (["--cameras", "7"], "no camera '7'; there are camera_0, camera_1, camera_3"),
    "no such time steps": (["--frames", "90:"], "nothing left; it has 24 time steps of 3 cameras"),
    "both": (["--frames", "0:2", "--split", "train"], "expected --split or --frames, got both"),
}


@pytest.mark.parametrize(("words", "problem"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_named_and_nothing_is_written(
    words: list[str],
    problem: str,
    command: Command,
    capture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = [] if "--out" in words else ["--out", tmp_path / "new"]
    filled = [word.format(capture=capture) for word in words]
    assert command("convert", "--capture", capture, *out, *filled) == 2
    assert problem in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_interrupted_it_leaves_nothing(
    command: Command, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.progress.Progress.advance", stop)
    assert command("convert", "--capture", capture, "--out", tmp_path / "new") == 130
    assert not list(tmp_path.iterdir())
