"""MVHumanNet: scaled millimetres, pictures of half the calibrated size, bodies in JSON only."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.structs import Capture, Pose

DOWN = np.diag([1.0, -1.0, -1.0])
PELVIS = np.array([0.0, -0.25, 0.03])
NAMES = ("CC32871A004", "CC32871A005", "CC32871A006")
STEMS = ("0005", "0010", "0015", "0020")
SCALE = 120 / 65


def person(frame: int) -> dict[str, object]:
    """EasyMocap's record of SMPL-X."""
    generator = np.random.default_rng(frame)
    values = {key: generator.normal(size=(1, 3)).round(3).tolist() for key in ("Rh", "Th")}
    return {"id": 0, **values, "poses": [[0.0] * 87], "shapes": [[0.1] * 10], "expression": [[0.0] * 10]}


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> Path:
    """The drawing in the set's layout: calibrated for twice its size, in millimetres times a scale, z down."""
    root = tmp_path / "100846"
    write_pictures(
        root,
        lambda frame, camera: f"images/{NAMES[camera]}/{STEMS[frame]}_img.jpg",
        lambda frame, camera: f"fmask/{NAMES[camera]}/{STEMS[frame]}_img_fmask.png",
    )
    intrinsics = drawn.cameras[0].intrinsics_px.double().numpy() * [[2.0], [2.0], [1.0]]
    intrinsics[:2, 2] -= 0.5
    (root / "camera_intrinsics.json").write_text(json.dumps({"intrinsics": intrinsics.tolist(), "dist": [[0.0] * 5]}))
    extrinsics = {}
    for index, (name, camera) in enumerate(zip(NAMES, drawn.cameras, strict=True)):
        transform = camera.camera_from_world.double().numpy()
        extrinsics[f"{index}_{name}.png"] = {
            "rotation": (transform[:3, :3] @ DOWN).tolist(),
            "translation": (transform[:3, 3] * 1000 / SCALE).tolist(),
        }
    (root / "camera_extrinsics.json").write_text(json.dumps(extrinsics | {"9_gone.png": {}}))
    (root / "camera_scale.pkl").write_bytes(b"\x80\x04G" + struct.pack(">d", SCALE) + b".")
    (root / "smplx" / "smpl").mkdir(parents=True)
    for frame in range(4):
        (root / "smplx" / "smpl" / f"{frame:06d}.json").write_text(json.dumps([person(frame)]))
    return root


def test_the_set_is_read(
    folder: Path,
    assert_as_drawn: Callable[[Capture], None],
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
) -> None:
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert_as_drawn(capture)
    assert [camera.name for camera in capture.cameras] == list(NAMES)
    assert capture.rig == "smplx_neutral"
    for frame in range(4):
        values = person(frame)
        place = cv2.Rodrigues(np.array(values["Rh"]))[0] @ PELVIS + np.array(values["Th"])[0]
        assert_root(capture.pose(frame), np.array(values["Rh"]), place, DOWN)


def test_a_scale_that_runs_code_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "camera_scale.pkl").write_bytes(b"cos\nsystem\n(Vtouch " + str(tmp_path / "marker").encode() + b"\ntR.")
    with pytest.raises(CaptureError, match=r"camera_scale\.pkl: is no pickled number"):
        read_capture(folder)
    assert not (tmp_path / "marker").exists()


def test_bodies_and_pictures_are_as_many(folder: Path) -> None:
    (folder / "smplx" / "smpl" / "000003.json").unlink()
    with pytest.raises(CaptureError, match="has 3 bodies for 4 pictures"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path,
    damage_set: Callable[..., list[str]],
) -> None:
    assert len(damage_set(folder, lambda capture: [(0, camera) for camera in range(len(capture.cameras))])) > 5
