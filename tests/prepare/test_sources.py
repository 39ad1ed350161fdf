"""Folders of videos and pictures, and which is which camera's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.match import folder_name, match_cameras
from avatar.prepare.sources import Source, find_sources, natural_order


def pictures(folder: Path, *names: str) -> Path:
    """Small pictures, the i-th of grey i."""
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((4, 6, 3), i, np.uint8))
    return folder


def source(name: str) -> Source:
    return Source(name=name, path=Path(f"{name}.mp4"))


def calibration(name: str) -> Calibration:
    return Calibration(
        name=name, intrinsics_px=np.eye(3), camera_from_world=np.eye(4), distortion=np.zeros(5), size=(4, 6)
    )


def test_names_have_a_natural_order() -> None:
    assert sorted(["cam10", "cam2", "Cam1"], key=natural_order) == ["Cam1", "cam2", "cam10"]


def test_videos_go_before_folders(tmp_path: Path) -> None:
    for name in ("cam10.mp4", "cam2.MOV", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    pictures(tmp_path / "cam3", "0.png")
    assert [each.name for each in find_sources(tmp_path)] == ["cam2", "cam10"]


@pytest.mark.parametrize("inside", ["", "images", "videos"])
def test_folders_of_pictures(tmp_path: Path, inside: str) -> None:
    pictures(tmp_path / inside / "b", "0.png", "1.png")
    pictures(tmp_path / inside / "a", "0.png")
    (tmp_path / inside / "empty").mkdir()
    assert [each.name for each in find_sources(tmp_path, 30.0)] == ["a", "b"]


def test_lost_pictures_leave_a_gap(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", "x_8.png", "x_9.png", "x_12.png", "x_10.png")
    (one,) = find_sources(folder, 4.0)
    frames = list(one.frames())
    assert [frame.time_s for frame in frames] == [2.0, 2.25, 2.5, 3.0]
    assert [int(frame.picture[0, 0, 0]) for frame in frames] == [0, 1, 3, 2]


def test_names_without_numbers_are_counted(tmp_path: Path) -> None:
    (one,) = find_sources(pictures(tmp_path / "a", "x.png", "y.png"), 4.0)
    assert [frame.time_s for frame in one.frames()] == [0.0, 0.25]


def test_a_part_of_the_frames(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", *(f"{i}.png" for i in range(6)))
    (one,) = find_sources(folder, 1.0, 2, 4)
    assert [frame.index for frame in one.frames()] == [2, 3]
    (beyond,) = find_sources(folder, 1.0, 6)
    with pytest.raises(ValueError, match="no frames from 6 on"):
        next(beyond.frames())


def test_a_fingerprint_changes_with_what_is_read(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", "0.png", "1.png")
    (one,), (same,), (part,) = (find_sources(folder, 1.0, 0, stop) for stop in (None, None, 1))
    before = one.fingerprint()
    assert before == same.fingerprint() != part.fingerprint()
    (folder / "1.png").write_bytes(b"something else")
    assert one.fingerprint() != before


@pytest.mark.parametrize(
    ("videos", "cameras", "expected"),
    [
        (["Cam_01", "cam-2"], ["CAM2", "cam01"], {"Cam_01": "cam01", "cam-2": "CAM2"}),
        (["int_cam01_img", "int_cam02_img"], ["cam02", "cam01"], {"int_cam01_img": "cam01", "int_cam02_img": "cam02"}),
        (["Miqus_7_20887", "Miqus_8_20888"], ["20888", "20887"], {"Miqus_7_20887": "20887", "Miqus_8_20888": "20888"}),
        (["cam1", "cam10"], ["Camera_10", "Camera_1"], {"cam1": "Camera_1", "cam10": "Camera_10"}),
        (
            ["cam1", "cam2"],
            ["cam1/000000.jpg", "cam2/000000.jpg"],
            {"cam1": "cam1/000000.jpg", "cam2": "cam2/000000.jpg"},
        ),
        (["left", "right"], ["a", "b"], {"left": "a", "right": "b"}),
        (["GX01"], ["whatever"], {"GX01": "whatever"}),
    ],
)
def test_videos_find_their_cameras(videos: list[str], cameras: list[str], expected: dict[str, str]) -> None:
    match = match_cameras([source(name) for name in videos], [calibration(name) for name in cameras])
    assert {video.name: camera.name for video, camera in match.pairs} == expected
    assert bool(match.warnings) == (videos == ["left", "right"])


def test_who_has_no_partner_is_named() -> None:
    videos, cameras = ["cam1", "cam2", "cam7"], ["cam1", "cam2", "cam3", "cam4"]
    match = match_cameras([source(name) for name in videos], [calibration(name) for name in cameras])
    assert [video.name for video, _ in match.pairs] == ["cam1", "cam2"]
    assert [warning.split(":")[0] for warning in match.warnings] == ["cam7", "cam3", "cam4"]


def test_a_calibration_of_another_rig_is_refused() -> None:
    with pytest.raises(ValueError, match="do not belong to the calibrated cameras a, b"):
        match_cameras([source(name) for name in ("x", "y", "z")], [calibration(name) for name in ("a", "b")])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cam1/000000.jpg", "cam1"),
        ("../../etc", "camera_"),
        ("a b:c", "a_b_c"),
        ("mask", "camera_mask"),
        ("..", "camera_"),
    ],
)
def test_cameras_are_called_so_that_folders_can_be(name: str, expected: str) -> None:
    assert folder_name(calibration(name)) == expected
