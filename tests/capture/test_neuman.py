"""NeuMan: the camera that moves becomes the world, inverted masks, scenes of any scale."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.structs import Capture, Pose

PELVIS = np.array([0.0, -0.25, 0.03])
HOUSE_FROM_CAMERA = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
SCALE = 0.37


def random_rigid(seed: int) -> np.ndarray:
    """A turn and a step."""
    generator = np.random.default_rng(seed)
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    transform[:3, 3] = generator.normal(size=3)
    return transform


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> Path:
    """The drawing's first camera, as if it moved; there are more bodies than pictures."""
    root, camera = tmp_path / "lab", drawn.cameras[0]
    write_pictures(
        root,
        lambda frame, camera: f"images/{frame:05d}.png" if camera == 0 else f"other/{camera}{frame}.png",
        lambda frame, camera: f"segmentations/{frame:05d}.png" if camera == 0 else f"other/m{camera}{frame}.png",
    )
    for frame in range(4):
        mask = ~drawn.load_frame(frame, 0, False).is_foreground.numpy()
        path = root / "segmentations" / f"{frame:05d}.png"
        path.write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.double().tolist()
    (root / "sparse").mkdir()
    (root / "sparse" / "cameras.txt").write_text(
        f"1 PINHOLE {camera.width} {camera.height} {fx!r} {fy!r} {cx!r} {cy!r}\n"
    )
    lines, alignments = [], {}
    for frame in (2, 0, 3, 1):
        view = random_rigid(frame)
        quat = np.roll(Rotation.from_matrix(view[:3, :3]).as_quat(), 1)
        lines += [" ".join(map(repr, [frame, *quat.tolist(), *view[:3, 3].tolist(), 1])) + f" {frame:05d}.png", ""]
        similarity = random_rigid(10 + frame)
        similarity[:3, :3] *= SCALE
        alignments[f"{frame:05d}.png"] = similarity[:3].T.copy()
    (root / "sparse" / "images.txt").write_text("\n".join(lines) + "\n")
    np.save(root / "alignments.npy", np.array(alignments), allow_pickle=True)
    values = body()
    np.savez(root / "smpl_output_optimized.npz", pose=values["pose"], betas=values["betas"], trans=values["trans"])
    (root / "train_split.txt").write_text("00000.png\n00002.png\n")
    (root / "test_split.txt").write_text("00001.png\n00003.png\n")
    return root


def body() -> dict[str, np.ndarray]:
    """Six frames."""
    generator = np.random.default_rng(0)
    return {
        "pose": generator.normal(size=(6, 72)),
        "betas": np.full((6, 10), 0.2),
        "trans": generator.normal(size=(6, 3)),
    }


def test_the_body_moves_before_the_camera(
    folder: Path,
    drawn: Capture,
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert (capture.num_frames, len(capture.cameras), capture.rig) == (4, 1, "smpl_neutral")
    assert capture.split("train_dense").frame_ids == (0, 2)
    assert capture.split("test_novel_view").frame_ids == (1, 3)
    torch.testing.assert_close(capture.cameras[0].intrinsics_px, drawn.cameras[0].intrinsics_px)
    np.testing.assert_allclose(capture.cameras[0].camera_from_world[:3, :3].numpy().T, HOUSE_FROM_CAMERA, atol=1e-6)
    values = body()
    for frame in range(4):
        read, expected = (made.load_frame(frame, 0, False) for made in (capture, drawn))
        assert torch.equal(read.is_foreground, expected.is_foreground)
        view, similarity = random_rigid(frame), random_rigid(10 + frame)
        pelvis = PELVIS + values["trans"][frame]
        seen = view[:3, :3] @ (SCALE * similarity[:3, :3] @ pelvis + similarity[:3, 3]) + view[:3, 3]
        turn = Rotation.from_matrix(view[:3, :3] @ similarity[:3, :3]) * Rotation.from_rotvec(values["pose"][frame, :3])
        assert_root(capture.pose(frame), turn.as_rotvec(), seen / SCALE, HOUSE_FROM_CAMERA)
        assert_joint(capture.pose(frame), 23, values["pose"][frame, -3:])


def test_joblib_pickles_are_not_read(folder: Path) -> None:
    (folder / "smpl_output_optimized.npz").rename(folder / "smpl_output_optimized.pkl")
    with pytest.raises(CaptureError, match=r"joblib pickle is not read; convert it once, if you trust it: python -c"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path,
    damage_set: Callable[..., list[str]],
) -> None:
    assert len(damage_set(folder, lambda capture: [(frame, 0) for frame in range(capture.num_frames)])) > 5
