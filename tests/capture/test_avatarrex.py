"""THuman4.0 and AvatarReX: JPEG masks, SMPL-X under smplx's keywords, lost pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.structs import Capture, Pose

NAMES = {"calibration.json": ("cam00", "cam01", "cam02"), "calibration_full.json": ("22010708", "22010710", "22010712")}
PELVIS = np.array([0.0, -0.25, 0.03])
UP_IS_Y = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


def body() -> dict[str, Any]:
    """The keys of the sets."""
    generator = np.random.default_rng(0)
    widths = {"global_orient": 3, "transl": 3, "body_pose": 63, "jaw_pose": 3, "expression": 10}
    widths |= {"left_hand_pose": 45, "right_hand_pose": 45}
    return {key: generator.normal(size=(4, width)) for key, width in widths.items()} | {"betas": np.ones((1, 10))}


def write(drawn: Capture, root: Path, table: str, write_pictures: Callable[..., None]) -> Path:
    """The drawing in one of the two layouts, in a world whose up is y."""
    folder, names = root / "subject00", NAMES[table]
    if table == "calibration.json":
        paths = "images/{}/{:08d}.jpg", "masks/{}/{:08d}.jpg"
    else:
        paths = "{}/{:08d}.jpg", "{}/mask/pha/{:08d}.jpg"
    image, mask = ((lambda frame, camera, path=path: path.format(names[camera], frame)) for path in paths)
    write_pictures(folder, image, mask)
    cameras = {}
    for name, camera in zip(names, drawn.cameras, strict=True):
        intrinsics, transform = camera.intrinsics_px.double().numpy().copy(), camera.camera_from_world.double().numpy()
        intrinsics[:2, 2] -= 0.5
        cameras[name] = {
            "K": intrinsics.ravel().tolist(),
            "R": (transform[:3, :3] @ UP_IS_Y.T).ravel().tolist(),
            "T": transform[:3, 3].tolist(),
            "distCoeff": [0.1, 0, 0, 0, 0],
            "imgSize": [camera.width, camera.height],
        }
    (folder / table).write_text(json.dumps(cameras))
    np.savez(folder / "smpl_params.npz", **body())
    return folder


@pytest.mark.parametrize("table", NAMES)
def test_both_layouts_are_read(
    drawn: Capture,
    tmp_path: Path,
    table: str,
    write_pictures: Callable[..., None],
    assert_as_drawn: Callable[[Capture], None],
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    capture = read_capture(write(drawn, tmp_path, table, write_pictures), pose_from_smpl=pose_from_smpl)
    assert_as_drawn(capture)
    assert [camera.name for camera in capture.cameras] == list(NAMES[table])
    assert (capture.rig, capture.name, capture.num_frames) == ("smplx_neutral", "subject00", 4)
    values = body()
    for frame in range(4):
        pose = capture.pose(frame)
        assert_root(pose, values["global_orient"][frame], PELVIS + values["transl"][frame], UP_IS_Y.T)
        assert_joint(pose, 21, values["body_pose"][frame, -3:])
        assert_joint(pose, 22, values["jaw_pose"][frame])
        torch.testing.assert_close(pose.local_quats[23], torch.tensor([1.0, 0, 0, 0]))
        assert_joint(pose, 25, values["left_hand_pose"][frame, :3])
        assert_joint(pose, 54, values["right_hand_pose"][frame, -3:])


def test_lost_pictures_are_in_no_split(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> None:
    folder = write(drawn, tmp_path, "calibration_full.json", write_pictures)
    lost = "zzr\\22010708\\00000002.jpg\n./22010712/00000000.jpg\nother/line\n"
    (folder / "missing_img_files.txt").write_text(lost)
    capture = read_capture(folder)
    assert capture.split("train_dense").frame_ids == (0, 1, 3)
    assert "test_novel_view" not in capture.splits


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"body_pose": np.zeros((4, 69))}, r"body_pose: expected numbers of shape \(4, 63\), got float64 of \(4, 69\)"),
        ({"betas": np.zeros((3, 10))}, "betas: expected 1 or 4 rows"),
        ({"transl": np.full((4, 3), np.nan)}, r"transl\[0, 0\]: expected a finite number"),
        ({"transl": np.full((4, 3), "0.5")}, "transl: expected numbers of shape"),
        ({"global_orient": np.array([None] * 4)}, "Python objects"),
    ],
)
def test_broken_bodies_are_refused(
    drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None], changes: dict[str, np.ndarray], problem: str
) -> None:
    folder = write(drawn, tmp_path, "calibration.json", write_pictures)
    values: dict[str, Any] = body() | changes
    np.savez(folder / "smpl_params.npz", **values)
    with pytest.raises(CaptureError, match=rf"smpl_params\.npz.*{problem}"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    drawn: Capture,
    tmp_path: Path,
    write_pictures: Callable[..., None],
    damage_set: Callable[..., list[str]],
) -> None:
    folder = write(drawn, tmp_path, "calibration.json", write_pictures)

    assert len(damage_set(folder, lambda capture: [(0, camera) for camera in range(3)])) > 5
