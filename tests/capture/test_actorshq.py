"""ActorsHQ: cameras in the world as fractions of their pictures, with or without a body."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.structs import Capture, Pose

UP_IS_Y = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
HEADER = "name, w, h, rx, ry, rz, tx, ty, tz, fx, fy, px, py"


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> Path:
    """The drawing in the set's layout."""
    root = tmp_path / "Actor01" / "Sequence1" / "4x"
    write_pictures(
        root,
        lambda frame, camera: f"rgbs/Cam{camera:03d}/Cam{camera:03d}_rgb{frame:06d}.jpg",
        lambda frame, camera: f"masks/Cam{camera:03d}/Cam{camera:03d}_mask{frame:06d}.png",
    )
    rows = [HEADER]
    for index, camera in enumerate(drawn.cameras):
        transform = np.linalg.inv(camera.camera_from_world.double().numpy())
        turn = cv2.Rodrigues(UP_IS_Y @ transform[:3, :3])[0].ravel()
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.double().tolist()
        numbers = [*turn, *(UP_IS_Y @ transform[:3, 3]), fx / camera.width, fy / camera.height]
        numbers += [cx / camera.width, cy / camera.height]
        words = [f"Cam{index:03d}", str(camera.width), str(camera.height), *(repr(float(number)) for number in numbers)]
        rows.append(", ".join(words))
    (root / "calibration.csv").write_text("\r\n".join(rows) + "\r\n")
    return root


def test_cameras_and_pictures_are_read(folder: Path, assert_as_drawn: Callable[[Capture], None]) -> None:
    capture = read_capture(folder)
    assert_as_drawn(capture)
    assert (capture.name, capture.rig, capture.num_frames) == ("Actor01_Sequence1_4x", "none", 4)


def test_a_body_may_lie_a_folder_up(
    folder: Path, pose_from_smpl: Callable[[SmplPoses], Pose], assert_root: Callable[..., None]
) -> None:
    turns, places = np.random.default_rng(0).normal(size=(2, 4, 3))
    np.savez(
        folder.parent / "smpl_params.npz",
        betas=np.zeros(10),
        global_orient=turns,
        transl=places,
        body_pose=np.zeros((4, 63)),
    )
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert capture.rig == "smplx_neutral"
    assert_root(capture.pose(3), turns[3], places[3] + [0.0, -0.25, 0.03], UP_IS_Y.T)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (" px,", " qx,", "has no column 'px'"),
        ("Cam001,", "Cam001, 3,", "expected 13 values in a row"),
        ("Cam001,", "../Cam001,", "may lead outside"),
        ("Cam001, 48,", "Cam001, 70000,", "expected a picture of 1 to"),
    ],
)
def test_broken_tables_are_refused(folder: Path, old: str, new: str, problem: str) -> None:
    path = folder / "calibration.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CaptureError, match=rf"calibration\.csv: .*{problem}"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path, damage: Callable[[Path, Callable[[], object]], list[str]]
) -> None:
    def use() -> None:
        capture = read_capture(folder)
        for camera in range(len(capture.cameras)):
            capture.load_frame(0, camera, True)

    assert len(damage(folder, use)) > 5
