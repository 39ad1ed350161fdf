"""EasyMocap's folder: its calibration, its pictures, and bodies of three models."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, read_capture
from avatar.capture.smpl_poses import HOUSE_FROM_MODEL
from avatar.geometry import matrices_from_quats
from avatar.structs import Capture, Shape

PELVIS = np.array([0.0, -0.25, 0.03])
NAMES = ("01", "2", "c3")
JOINTS = {72: 24, 69: 24, 78: 52, 87: 55}


def root_at_rest(rig: str, shape: Shape) -> torch.Tensor:
    """A pelvis, in the house's axes."""
    assert len(shape.names) == 10
    return torch.from_numpy(HOUSE_FROM_MODEL @ PELVIS)


def person(frame: int, count: int, number: int = 0) -> dict[str, object]:
    """One person of a body file, three decimals."""
    generator = np.random.default_rng(100 * number + frame)
    poses = generator.normal(size=(1, count)).round(3)
    if count != 69:
        poses[:, :3] = 0
    vectors = {key: generator.normal(size=(1, 3)).round(3).tolist() for key in ("Rh", "Th")}
    return {"id": number, **vectors, "poses": poses.tolist(), "shapes": [[0.5] * 10]}


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> Path:
    """The drawing in EasyMocap's layout, with SMPL bodies."""
    root = tmp_path / "dance"
    write_pictures(
        root,
        lambda frame, camera: f"images/{NAMES[camera]}/{frame + 7:06d}.jpg",
        lambda frame, camera: f"mask/{NAMES[camera]}/{frame + 7:06d}.png",
    )
    intri, extri = (cv2.FileStorage(str(root / f"{name}.yml"), cv2.FILE_STORAGE_WRITE) for name in ("intri", "extri"))
    intri.startWriteStruct("names", cv2.FileNode_SEQ)
    for name in NAMES:
        intri.write("", name)
    intri.endWriteStruct()
    for name, camera in zip(NAMES, drawn.cameras, strict=True):
        transform = camera.camera_from_world.double().numpy()
        intrinsics = camera.intrinsics_px.double().numpy()
        intri.write(f"K_{name}", intrinsics - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]))
        intri.write(f"dist_{name}", np.zeros((1, 5)))
        extri.write(f"Rot_{name}", transform[:3, :3])
        extri.write(f"T_{name}", transform[:3, 3:])
    intri.release()
    extri.release()
    write_bodies(root, 72)
    return root


def write_bodies(root: Path, count: int, *, as_object: bool = False) -> None:
    (root / "smpl").mkdir(exist_ok=True)
    for frame in range(4):
        people: object = [person(frame, count)]
        (root / "smpl" / f"{frame + 7:06d}.json").write_text(json.dumps({"annots": people} if as_object else people))


@pytest.mark.parametrize(("count", "rig"), [(72, "smpl"), (69, "smpl"), (78, "smplh"), (87, "smplx")])
@pytest.mark.parametrize("as_object", [False, True])
def test_bodies_of_all_models_are_read(
    folder: Path, count: int, rig: str, as_object: bool, assert_as_drawn: Callable[[Capture], None]
) -> None:
    write_bodies(folder, count, as_object=as_object)
    capture = read_capture(folder, root_at_rest=root_at_rest)
    if as_object:
        assert_as_drawn(capture)
    assert (capture.rig, capture.name) == (f"{rig}_neutral", "dance")
    assert capture.poses.local_quats.shape == (4, JOINTS[count], 4)
    for frame in range(4):
        values = person(frame, count)
        turn, place = cv2.Rodrigues(np.array(values["Rh"]))[0], np.array(values["Th"])[0]
        pose = capture.pose(frame)
        np.testing.assert_allclose(pose.root_position_world.numpy(), turn @ PELVIS + place, atol=1e-6)
        matrices = HOUSE_FROM_MODEL.T @ matrices_from_quats(pose.local_quats[1:]).numpy() @ HOUSE_FROM_MODEL
        poses = np.array(values["poses"]).ravel()[0 if count == 69 else 3 :]
        np.testing.assert_allclose(matrices[0], cv2.Rodrigues(poses[:3])[0], atol=1e-6)
        if count == 87:
            np.testing.assert_allclose(matrices[21], cv2.Rodrigues(poses[-9:-6])[0], atol=1e-6)
            np.testing.assert_allclose(matrices[23], cv2.Rodrigues(poses[-3:])[0], atol=1e-6)


def test_hands_are_asked_for(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_bodies(folder, 78)
    with caplog.at_level(logging.WARNING):
        straight = read_capture(folder, root_at_rest=root_at_rest).poses.local_quats[:, 22:]
    assert "fingers are left straight" in caplog.text
    torch.testing.assert_close(straight, torch.tensor([1.0, 0, 0, 0]).expand(4, 30, 4))

    def hand_poses(rig: str, coefficients: torch.Tensor) -> torch.Tensor:
        assert (rig, coefficients.shape) == ("smplh_neutral", (4, 2, 6))
        return torch.nn.functional.pad(coefficients, (0, 39))

    bent = read_capture(folder, root_at_rest=root_at_rest, hand_poses=hand_poses).poses.local_quats
    left = cv2.Rodrigues(np.array(person(2, 78)["poses"]).ravel()[66:69])[0]
    matrix = HOUSE_FROM_MODEL.T @ matrices_from_quats(bent[2, 22]).numpy() @ HOUSE_FROM_MODEL
    np.testing.assert_allclose(matrix, left, atol=1e-6)


def test_the_person_of_most_frames_is_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for frame in range(4):
        people = [person(frame, 72, 5)] * (frame != 1) + [person(frame, 72, 3)] * (frame > 2)
        (folder / "smpl" / f"{frame + 7:06d}.json").write_text(json.dumps(people))
    with caplog.at_level(logging.WARNING):
        capture = read_capture(folder, root_at_rest=root_at_rest)
    assert "1 of 4 files lack person 5; left out" in caplog.text
    assert capture.num_frames == 3
    values = person(2, 72, 5)
    place = cv2.Rodrigues(np.array(values["Rh"]))[0] @ PELVIS + np.array(values["Th"])[0]
    np.testing.assert_allclose(capture.pose(1).root_position_world.numpy(), place, atol=1e-6)


def test_pictures_without_bodies(folder: Path) -> None:
    for path in (folder / "smpl").iterdir():
        path.unlink()
    with pytest.raises(CaptureError, match="smpl: has no bodies"):
        read_capture(folder)
    (folder / "smpl").rmdir()
    capture = read_capture(folder, root_at_rest=root_at_rest)
    assert (capture.rig, capture.num_frames) == ("none", 4)
    assert [camera.name for camera in capture.cameras] == list(NAMES)


@pytest.mark.parametrize("content", ["[]", '[{"poses": [[0]]}]', '{"annots": 3}', "[[[[", '[{"id": 1e999}]', "NaN"])
def test_broken_bodies_are_refused(folder: Path, content: str) -> None:
    for path in (folder / "smpl").iterdir():
        path.write_text(content)
    with pytest.raises(CaptureError, match="smpl"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path, damage: Callable[[Path, Callable[[], object]], list[str]]
) -> None:
    def use() -> None:
        capture = read_capture(folder, root_at_rest=root_at_rest)
        for camera in range(3):
            capture.load_frame(0, camera, True)

    assert len(damage(folder, use)) > 5
