"""ZJU-MoCap as published: z down, millimetres, SMPL, and the odd names of 313 and 315."""

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, PictureConfig, SmplPoses, read_capture
from avatar.capture.zju_subjects import SUBJECTS, subject_of
from avatar.structs import Capture, Pose

DOWN = np.diag([1.0, -1.0, -1.0])
PELVIS = np.array([0.0, -0.25, 0.03])
FRAMES, CAMERAS = 4, 3


def body(frame: int) -> dict[str, np.ndarray]:
    """What is in a body file."""
    generator = np.random.default_rng(frame)
    poses = generator.normal(size=(1, 72))
    poses[:, :3] = 0
    return {
        "poses": poses,
        "Rh": generator.normal(size=(1, 3)),
        "Th": generator.normal(size=(1, 3)),
        "shapes": np.full((1, 10), 0.1 * frame),
    }


def release(camera: int, frame: int) -> tuple[str, str]:
    name = f"Camera_B{camera + 1}/{frame:06d}.jpg"
    return name, name


def refined(camera: int, frame: int) -> tuple[str, str]:
    name = f"images/{camera:02d}/{frame:06d}.jpg"
    return name, name


def subject_313(camera: int, frame: int) -> tuple[str, str]:
    """Numbers from one; on disk with short names."""
    folder = f"Camera ({camera + 1})"
    long = f"{folder}/CoreView_313_Camera_({camera + 1})_{frame + 1:04d}_2019-08-23_16-08-50.592.jpg"
    return long, f"{folder}/{frame + 1:04d}.jpg"


LAYOUTS = {
    "CoreView_392": (release, "new_params", "mask_cihp/"),
    "my_377": (refined, "smpl_params", "mask/"),
    "CoreView_313": (subject_313, "new_params", "mask_cihp/"),
}


def write(drawn: Capture, root: Path, name: str, *, as_lists: bool = False) -> Path:
    """The drawn capture in one of the layouts."""
    names, bodies, masks = LAYOUTS[name]
    folder = root / name
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    transforms = [camera.camera_from_world.double().numpy() for camera in drawn.cameras]
    cams = {
        "K": [camera.intrinsics_px.double().numpy() - half for camera in drawn.cameras],
        "R": [transform[:3, :3] @ DOWN for transform in transforms],
        "T": [1000 * transform[:3, 3:] for transform in transforms],
        "D": [np.zeros((5, 1)) for _ in transforms],
    }
    if as_lists:
        cams = {key: [value.tolist() for value in values] for key, values in cams.items()}
    ims = [{"ims": [names(camera, frame)[0] for camera in range(CAMERAS)]} for frame in range(FRAMES)]
    (folder / bodies).mkdir(parents=True)
    np.save(folder / "annots.npy", np.array({"cams": cams, "ims": ims}), allow_pickle=True)
    for frame in range(FRAMES):
        number = frame + (name == "CoreView_313")
        np.save(folder / bodies / f"{number}.npy", np.array(body(frame)), allow_pickle=True)
        for camera in range(CAMERAS):
            drawing = drawn.load_frame(frame, camera, False)
            path = names(camera, frame)[1]
            place = path.partition("/")[2] if name == "my_377" else path
            pixels = (drawing.image * 255).round().byte().numpy()[..., ::-1]
            write_picture(folder / path, pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])
            write_picture(folder / masks / f"{place[:-4]}.png", drawing.is_foreground.byte().numpy() * 5)
    return folder


def write_picture(path: Path, pixels: np.ndarray, options: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, options or [])


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_what_was_published_is_read(
    drawn: Capture,
    tmp_path: Path,
    name: str,
    as_lists: bool,
    caplog: pytest.LogCaptureFixture,
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    with caplog.at_level(logging.WARNING):
        capture = read_capture(write(drawn, tmp_path, name, as_lists=as_lists), pose_from_smpl=pose_from_smpl)
    assert f"{name} was published with {SUBJECTS[int(name[-3:])].frames} of" in caplog.text
    assert (capture.name, capture.rig, capture.num_frames) == (name, "smpl_neutral", FRAMES)
    for camera, expected in zip(capture.cameras, drawn.cameras, strict=True):
        torch.testing.assert_close(camera.intrinsics_px, expected.intrinsics_px, atol=1e-5, rtol=0)
        torch.testing.assert_close(camera.camera_from_world, expected.camera_from_world, atol=1e-6, rtol=0)
    assert torch.allclose(capture.shape.values, torch.tensor(0.15))
    for frame in range(FRAMES):
        values = body(frame)
        turn = cv2.Rodrigues(values["Rh"])[0]
        assert_root(capture.pose(frame), values["Rh"], turn @ PELVIS + values["Th"][0], DOWN)
        assert_joint(capture.pose(frame), 4, values["poses"][0, 12:15])
        for camera in range(CAMERAS):
            read, expected = (made.load_frame(frame, camera, False) for made in (capture, drawn))
            assert torch.equal(read.is_foreground, expected.is_foreground)
            assert (read.image - expected.image).abs().max() < 0.25


def test_human36m_has_the_same_layout(
    drawn: Capture, tmp_path: Path, pose_from_smpl: Callable[[SmplPoses], Pose]
) -> None:
    """As Animatable NeRF has it: a subject's action, cameras called by their numbers, all but the last to train on."""
    folder = write(drawn, tmp_path, "CoreView_392")
    (tmp_path / "S9").mkdir()
    folder = folder.rename(tmp_path / "S9" / "Posing")
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert (capture.name, capture.rig) == ("Posing", "smpl_neutral")
    assert {name: split.camera_ids for name, split in capture.splits.items()} == {
        "train_dense": (0, 1),
        "test_novel_view": (2,),
    }


def test_without_the_body_model_pictures_are_still_read(drawn: Capture, tmp_path: Path) -> None:
    capture = read_capture(write(drawn, tmp_path, "CoreView_392"))
    assert (capture.rig, capture.poses.local_quats.shape) == ("none", (FRAMES, 0, 4))
    assert torch.equal(capture.load_frame(1, 1, True).is_foreground, drawn_crop(drawn, capture))


def drawn_crop(drawn: Capture, capture: Capture) -> torch.Tensor:
    """The same part of what was drawn."""
    crop = capture.load_frame(1, 1, True).crop
    assert crop is not None
    return drawn.load_frame(1, 1, False).is_foreground[crop.top : crop.bottom, crop.left : crop.right]


def test_time_steps_without_a_body_are_left_out_at_the_end_only(
    drawn: Capture,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    pose_from_smpl: Callable[[SmplPoses], Pose],
) -> None:
    folder = write(drawn, tmp_path, "CoreView_392")
    (folder / "new_params" / "3.npy").unlink()
    with caplog.at_level(logging.WARNING):
        assert read_capture(folder, pose_from_smpl=pose_from_smpl).num_frames == 3
    assert "no bodies from 3 on" in caplog.text
    (folder / "new_params" / "1.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"new_params/1\.npy: no such file"):
        read_capture(folder, pose_from_smpl=pose_from_smpl)


def test_masks_of_half_the_size_are_scaled(drawn: Capture, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(drawn, tmp_path, "CoreView_392")
    path = folder / "mask_cihp" / "Camera_B1" / "000000.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    cv2.imwrite(str(path), labels[::2, ::2])
    with caplog.at_level(logging.WARNING):
        mask = read_capture(folder).load_frame(0, 0, False).is_foreground
    assert "000000.png: is 20 x 24, its picture 40 x 48; scaled" in caplog.text
    assert (mask ^ drawn.load_frame(0, 0, False).is_foreground).float().mean() < 0.02


def test_masks_are_those_asked_for_or_all_of_them(drawn: Capture, tmp_path: Path) -> None:
    """Another mask is one pixel in a corner: alone it is all of the person, joined it is added."""
    folder = write(drawn, tmp_path, "my_377")
    corner = np.zeros((drawn.cameras[0].height, drawn.cameras[0].width), np.uint8)
    corner[0, 0] = 1
    write_picture(folder / "mask_cihp" / "images" / "00" / "000000.png", corner)
    expected = drawn.load_frame(0, 0, False).is_foreground
    only_corner = torch.from_numpy(corner > 0)
    for masks, person in (
        (("mask",), expected),
        (("mask_cihp",), only_corner),
        (("mask", "mask_cihp"), expected | only_corner),
    ):
        capture = read_capture(folder, pictures=PictureConfig(mask_folders=masks))
        assert torch.equal(capture.load_frame(0, 0, False).is_foreground, person)
    write_picture(folder / "mask_cihp" / "images" / "00" / "000000.png", corner[1:])
    with pytest.raises(CaptureError, match="cannot be joined"):
        read_capture(folder, pictures=PictureConfig(mask_folders=("mask", "mask_cihp"))).load_frame(0, 0, False)


def test_numbers_of_313_start_at_one(drawn: Capture, tmp_path: Path) -> None:
    folder = write(drawn, tmp_path, "CoreView_313")
    assert [camera.name for camera in read_capture(folder).cameras] == ["Camera (1)", "Camera (2)", "Camera (3)"]
    (folder / "new_params" / "1.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"new_params/1\.npy"):
        read_capture(folder)


def test_turned_roots_of_poses_are_refused(drawn: Capture, tmp_path: Path) -> None:
    folder = write(drawn, tmp_path, "CoreView_392")
    values = body(0)
    values["poses"][:, 0] = 1.0
    np.save(folder / "new_params" / "0.npy", np.array(values), allow_pickle=True)
    with pytest.raises(CaptureError, match="expected zeros for the root, which Rh turns"):
        read_capture(folder)


@pytest.mark.parametrize("name", ["CoreView_313", "my_377"])
def test_damage_ends_in_one_line_or_does_no_harm(
    drawn: Capture,
    tmp_path: Path,
    name: str,
    damage_set: Callable[..., list[str]],
) -> None:
    folder = write(drawn, tmp_path, name)

    assert len(damage_set(folder, lambda capture: [(0, camera) for camera in range(CAMERAS)])) > 5


def test_pictures_outside_are_not_opened(drawn: Capture, tmp_path: Path) -> None:
    folder = write(drawn, tmp_path, "CoreView_392")
    path = folder / "Camera_B1" / "000000.jpg"
    path.rename(tmp_path / "outside.jpg")
    path.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(CaptureError, match=r"is a link to .*, outside the capture"):
        read_capture(folder)


def test_the_published_subjects() -> None:
    assert {number: (subject.frames, subject.cameras) for number, subject in SUBJECTS.items()} == {
        313: (1470, 21),
        315: (2185, 21),
        377: (617, 23),
        386: (646, 23),
        387: (654, 23),
        390: (1171, 23),
        392: (556, 23),
        393: (658, 23),
        394: (859, 23),
    }
    assert subject_of("my_390") == subject_of("CoreView_390") == SUBJECTS[390]
    assert subject_of("dancer") is None
    for subject in SUBJECTS.values():
        assert max(subject.train[1], subject.unseen[1]) <= subject.frames
        assert not set(range(*subject.train)) & set(range(*subject.unseen))
