"""EasyMocap's folder: its calibration, its pictures, and bodies of three models."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.structs import Capture, Pose

PELVIS = np.array([0.0, -0.25, 0.03])
NAMES = ("01", "2", "c3")
JOINTS = {72: 24, 69: 24, 78: 52, 87: 55}


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
    folder: Path,
    count: int,
    rig: str,
    as_object: bool,
    assert_as_drawn: Callable[[Capture], None],
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    write_bodies(folder, count, as_object=as_object)
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    if as_object:
        assert_as_drawn(capture)
    assert (capture.rig, capture.name) == (f"{rig}_neutral", "dance")
    assert capture.poses.local_quats.shape == (4, JOINTS[count], 4)
    for frame in range(4):
        values = person(frame, count)
        turn, place = cv2.Rodrigues(np.array(values["Rh"]))[0], np.array(values["Th"])[0]
        assert_root(capture.pose(frame), values["Rh"], turn @ PELVIS + place, np.eye(3))
        poses = np.array(values["poses"]).ravel()[0 if count == 69 else 3 :]
        assert_joint(capture.pose(frame), 1, poses[:3])
        if count == 87:
            assert_joint(capture.pose(frame), 22, poses[-9:-6])
            assert_joint(capture.pose(frame), 24, poses[-3:])


def test_hands_come_as_coefficients(folder: Path, pose_from_smpl: Callable[[SmplPoses], Pose]) -> None:
    write_bodies(folder, 78)
    asked: list[SmplPoses] = []
    read_capture(folder, pose_from_smpl=lambda read: (asked.append(read), pose_from_smpl(read))[1])
    assert asked[0].hands is not None
    expected = [np.array(person(frame, 78)["poses"])[0, 66:].reshape(2, 6) for frame in range(4)]
    np.testing.assert_array_equal(asked[0].hands, expected)
    assert not asked[0].turns[:, 22:].any()


def test_the_person_of_most_frames_is_read(
    folder: Path, caplog: pytest.LogCaptureFixture, pose_from_smpl: Callable[[SmplPoses], Pose]
) -> None:
    for frame in range(4):
        people = [person(frame, 72, 5)] * (frame != 1) + [person(frame, 72, 3)] * (frame > 2)
        (folder / "smpl" / f"{frame + 7:06d}.json").write_text(json.dumps(people))
    with caplog.at_level(logging.WARNING):
        capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert "1 of 4 files lack person 5; left out" in caplog.text
    assert capture.num_frames == 3
    values = person(2, 72, 5)
    place = cv2.Rodrigues(np.array(values["Rh"]))[0] @ PELVIS + np.array(values["Th"])[0]
    np.testing.assert_allclose(capture.pose(1).root_position_world.numpy(), place, atol=1e-6)


def test_pictures_without_bodies(folder: Path, pose_from_smpl: Callable[[SmplPoses], Pose]) -> None:
    for path in (folder / "smpl").iterdir():
        path.unlink()
    with pytest.raises(CaptureError, match="smpl: has no bodies"):
        read_capture(folder)
    (folder / "smpl").rmdir()
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert (capture.rig, capture.num_frames) == ("none", 4)
    assert [camera.name for camera in capture.cameras] == list(NAMES)


@pytest.mark.parametrize("content", ["[]", '[{"poses": [[0]]}]', '{"annots": 3}', "[[[[", '[{"id": 1e999}]', "NaN"])
def test_broken_bodies_are_refused(folder: Path, content: str) -> None:
    for path in (folder / "smpl").iterdir():
        path.write_text(content)
    with pytest.raises(CaptureError, match="smpl"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path,
    damage_set: Callable[..., list[str]],
) -> None:
    assert len(damage_set(folder, lambda capture: [(0, camera) for camera in range(3)])) > 5
