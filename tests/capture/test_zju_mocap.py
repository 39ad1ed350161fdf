"""The layout as a whole: what the writer writes comes back, from either camera table."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, MissingFileError, read_capture, read_zju_mocap, write_capture
from avatar.capture.reader import KNOWN
from avatar.structs import Capture, Split

CALIB_TOML = """
[cam1]
name = "cam1"
size = [48.0, 40.0]
matrix = [[60.0, 0.0, 23.7], [0.0, 61.0, 20.4], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
rotation = [1.5, 0.0, 0.0]
translation = [0.0, 0.9, 3.0]
"""


def write_annots(folder: Path, pattern: str = "Camera_B{camera}/{frame:06d}.png") -> None:
    """Replace ``cameras.json`` by the published form: a pickled table with millimetres and integer pixel centres."""
    cameras = json.loads((folder / "cameras.json").read_text()).values()
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    cams = {
        "K": [np.array(camera["K"]) - half for camera in cameras],
        "R": [np.array(camera["R"]) for camera in cameras],
        "T": [1000 * np.array(camera["T_m"])[:, None] for camera in cameras],
        "D": [np.zeros((5, 1)) for _ in cameras],
    }
    ims = [{"ims": [pattern.format(camera=camera, frame=frame) for camera in (1, 2, 3)]} for frame in range(4)]
    np.save(folder / "annots.npy", np.array({"cams": cams, "ims": ims}), allow_pickle=True)
    (folder / "cameras.json").unlink()


def change_json(path: Path, **changes: object) -> None:
    """Change top-level keys of a JSON file; None removes one."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def assert_same(capture: Capture, drawn: Capture, *, atol: float) -> None:
    """Cameras, body, splits and pictures agree."""
    assert (capture.name, capture.frame_rate_hz) == (drawn.name, drawn.frame_rate_hz)
    assert dict(capture.splits) == dict(drawn.splits)
    for camera, expected in zip(capture.cameras, drawn.cameras, strict=True):
        assert (camera.name, camera.height, camera.width) == (expected.name, expected.height, expected.width)
        torch.testing.assert_close(camera.intrinsics_px, expected.intrinsics_px, atol=1e-5, rtol=0)
        torch.testing.assert_close(camera.camera_from_world, expected.camera_from_world, atol=1e-6, rtol=0)
    torch.testing.assert_close(capture.poses.local_quats, drawn.poses.local_quats, atol=1e-6, rtol=0)
    for split in drawn.splits.values():
        for pair in split.pairs():
            image, expected = capture.load_frame(*pair, False).image, drawn.load_frame(*pair, False).image
            torch.testing.assert_close(image, expected, atol=atol, rtol=0)


def test_what_is_written_comes_back(drawn: Capture, folder: Path) -> None:
    assert_same(read_capture(folder, split="train_dense"), drawn, atol=0)


def test_jpeg_comes_back_nearly(drawn: Capture, tmp_path: Path) -> None:
    write_capture(drawn, tmp_path / "new", jpeg_quality=98)
    assert_same(read_capture(tmp_path / "new"), drawn, atol=0.25)
    assert not list(tmp_path.rglob("annots.npy"))


def test_only_pictures_of_splits_are_written(folder: Path) -> None:
    pictures = sorted(str(path.relative_to(folder)) for path in folder.glob("Camera_*/*"))
    assert pictures == [
        *(f"Camera_B1/00000{frame}.png" for frame in (0, 1, 2)),
        *(f"Camera_B2/00000{frame}.png" for frame in (0, 3)),
        *(f"Camera_B3/00000{frame}.png" for frame in (0, 1, 2)),
    ]


def test_the_published_form_is_read(drawn: Capture, folder: Path) -> None:
    write_annots(folder)
    change_json(folder / "splits.json", pixel_origin=None)
    assert_same(read_capture(folder), drawn, atol=0)


def test_rendered_captures_have_the_origin_at_the_corner(drawn: Capture, folder: Path) -> None:
    write_annots(folder)
    change_json(folder / "splits.json", pixel_origin=None)
    (folder / "surface").mkdir()
    shift = drawn.cameras[0].intrinsics_px - read_capture(folder).cameras[0].intrinsics_px
    torch.testing.assert_close(shift[:2, 2], torch.tensor([0.5, 0.5]), atol=1e-5, rtol=0)
    assert_same(read_zju_mocap(folder, pixel_origin="centre"), drawn, atol=0)


def test_the_refined_layout_is_read(drawn: Capture, folder: Path) -> None:
    """Pictures in ``images/00``, masks in ``mask/00``; cameras are called by their folders."""
    (folder / "images").mkdir()
    for camera in (1, 2, 3):
        (folder / f"Camera_B{camera}").rename(folder / "images" / f"0{camera}")
        (folder / "mask" / f"Camera_B{camera}").rename(folder / "mask" / f"0{camera}")
    write_annots(folder, "images\\0{camera}\\{frame:06d}.png")
    (folder / "splits.json").unlink()
    capture = read_capture(folder)
    assert [camera.name for camera in capture.cameras] == ["01", "02", "03"]
    assert capture.split("train_dense").camera_ids == (0, 1)
    torch.testing.assert_close(capture.load_frame(0, 2, False).image, drawn.load_frame(0, 2, False).image)


def test_masks_of_part_labels_are_read(drawn: Capture, folder: Path) -> None:
    (folder / "mask").rename(folder / "mask_cihp")
    path = folder / "mask_cihp" / "Camera_B1" / "000000.png"
    cv2.imwrite(str(path), drawn.load_frame(0, 0, False).is_foreground.byte().numpy() * 5)
    assert torch.equal(
        read_capture(folder).load_frame(0, 0, False).is_foreground, drawn.load_frame(0, 0, False).is_foreground
    )


def test_distorted_pictures_are_straightened(drawn: Capture, folder: Path) -> None:
    cameras = json.loads((folder / "cameras.json").read_text())
    cameras["Camera_B1"]["D"] = [-1.5, 0.0, 0.0, 0.0, 0.0]
    (folder / "cameras.json").write_text(json.dumps(cameras))
    bent, straight = read_capture(folder).load_frame(0, 0, False), drawn.load_frame(0, 0, False)
    assert bent.is_foreground.sum() > straight.is_foreground.sum(), "undoing a barrel distortion enlarges"
    assert torch.equal(bent.image.any(-1) & ~bent.is_foreground, torch.zeros_like(bent.is_foreground))
    assert torch.equal(read_capture(folder).load_frame(0, 2, False).image, drawn.load_frame(0, 2, False).image)


def test_sizes_come_from_the_pictures_where_the_table_has_none(drawn: Capture, folder: Path) -> None:
    write_annots(folder)
    for path in (folder / "Camera_B2").iterdir():
        path.unlink()
    assert [(camera.height, camera.width) for camera in read_capture(folder).cameras] == [(40, 48)] * 3
    for path in folder.glob("Camera_*/*"):
        path.unlink()
    with pytest.raises(MissingFileError, match=r"Camera_B1/000000\.png: no such file"):
        read_capture(folder)


def test_folders_that_are_no_captures_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_capture(tmp_path / "gone")
    with pytest.raises(CaptureError, match=r"expected annots\.npy or cameras\.json"):
        read_capture(tmp_path)


KINDS = {
    "EasyMocap": ("intri.yml", "extri.yml", "images/"),
    "WildDynaCap": ("cameras.calibration", "videos/"),
    "AvatarReX": ("calibration_full.json", "smpl_params.npz"),
    "THuman4.0": ("calibration.json", "smpl_params.npz"),
    "ActorsHQ": ("calibration.csv", "rgbs/"),
    "MVHumanNet": ("camera_intrinsics.json", "camera_extrinsics.json"),
    "PeopleSnapshot": ("camera.pkl", "masks.hdf5", "reconstructed_poses.hdf5"),
    "DNA-Rendering": ("0012_11_annots.smc",),
    "NeuMan": ("alignments.npy", "sparse/", "segmentations/"),
    "ours": ("cameras.json",),
    "ZJU-MoCap": ("annots.npy",),
    "any rig": ("images/", "Calib.toml"),
    "transforms.json": ("images/", "transforms.json"),
    "camera_array.toml": ("images/", "camera_array.toml"),
    "*.qca.txt": ("images/", "session.qca.txt"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_folders_are_known_by_what_is_said_to_make_them(kind: str, tmp_path: Path) -> None:
    """With these files, be they empty, a folder is of a known kind; without any one of them it is not."""
    assert kind in KNOWN
    for name in KINDS[kind]:
        path = tmp_path / name
        assert name.strip("/").replace("0012_11", "*").replace("session", "*") in KNOWN
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    with pytest.raises((CaptureError, ImportError)) as refused:
        read_capture(tmp_path)
    assert "is no capture that avatar reads" not in str(refused.value)
    for name in KINDS[kind]:
        path = tmp_path / name
        path.rename(tmp_path.parent / "away")
        with pytest.raises(CaptureError) as unknown:
            read_capture(tmp_path)
        assert str(unknown.value).endswith(f"expected {KNOWN}"), "nothing is cut off"
        (tmp_path.parent / "away").rename(path)


@pytest.mark.parametrize("kind", ["ours", "any rig"])
def test_without_a_body_it_says_how_to_get_one(folder: Path, kind: str) -> None:
    (folder / "body_default.npz").unlink()
    if kind == "any rig":
        (folder / "cameras.json").unlink()
        (folder / "images").mkdir()
        (folder / "Calib.toml").write_text(CALIB_TOML)
    with pytest.raises(
        MissingFileError, match=r"body_default\.npz: no such file, nor body.npz: .*avatar prepare --videos"
    ):
        read_capture(folder)


@pytest.mark.parametrize(
    ("file", "changes", "problem"),
    [
        ("splits.json", {"frame_rate": 0}, r"splits\.json: frame_rate"),
        ("splits.json", {"frame_rate": "fast"}, r"splits\.json: frame_rate"),
        ("splits.json", {"pixel_origin": "middle"}, r"splits\.json: pixel_origin: expected 'corner' or 'centre'"),
        ("splits.json", {"capture": 7}, r"splits\.json: capture: expected printable text"),
        ("cameras.json", {"../up": {}}, r"cameras\.json: "),
        (
            "cameras.json",
            {"Camera_B1": {"R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "T_m": [0, 0, 3]}},
            "Camera_B1 has no 'K'",
        ),
        ("cameras.json", {"Camera_B1": 3}, "Camera_B1: expected a dictionary"),
    ],
)
def test_broken_tables_are_refused(folder: Path, file: str, changes: dict[str, object], problem: str) -> None:
    change_json(folder / file, **changes)
    with pytest.raises(CaptureError, match=problem):
        read_capture(folder)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("../ellipse/Camera_B{camera}/{frame:06d}.png", "outside the folder"),
        ("/Camera_B{camera}/{frame:06d}.png", "outside the folder"),
        ("same/{camera}{frame:06d}.png", "a folder of its own"),
        ("{camera}{frame:06d}.png", "a folder of its own"),
    ],
)
def test_unusable_picture_paths_are_refused(folder: Path, pattern: str, problem: str) -> None:
    write_annots(folder, pattern)
    with pytest.raises(CaptureError, match=rf"annots\.npy: .*{problem}"):
        read_capture(folder)


def test_every_time_step_needs_a_pose(drawn: Capture, folder: Path) -> None:
    write_annots(folder)
    data = dict(np.load(folder / "body_default.npz"))
    data |= {key: data[key][:3] for key in ("local_quats", "root_position_world")}
    np.savez(folder / "body_default.npz", **data)
    with pytest.raises(CaptureError, match="ims: 4 time steps for 3 poses"):
        read_capture(folder)


def test_the_writer_checks_its_orders(drawn: Capture, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        write_capture(drawn, folder)
    with pytest.raises(ValueError, match="quality 1 to 100"):
        write_capture(drawn, tmp_path / "new", suffix=".gif")
    misnamed = replace(drawn, splits={"frames": Split(name="frames", frame_ids=(0,), camera_ids=(0,))})
    with pytest.raises(ValueError, match="may not be called 'frames'"):
        write_capture(misnamed, tmp_path / "new")
    assert not (tmp_path / "new").exists()
