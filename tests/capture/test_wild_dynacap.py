"""WildDynaCap: skeletool's texts, videos as pictures, masks of another resolution."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.capture.skeletool import read_cameras, read_motion, read_skeleton
from avatar.structs import Capture, Pose

# The set's world has y up: x, y, z of the house are z, x, y of the set.
WORLD_FROM_HOUSE = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
PELVIS = np.array([0.0, -0.25, 0.03])


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, {"crf": "4"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 25)
        for index, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def calibration(drawn: Capture) -> str:
    """skeletool's text, with a line that no reader knows."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for index, camera in enumerate(drawn.cameras):
        intrinsic, extrinsic = np.eye(4), camera.camera_from_world.double().numpy()
        intrinsic[:3, :3] = camera.intrinsics_px.double().numpy()
        intrinsic[:2, 2] -= 0.5
        extrinsic[:3, :3] = extrinsic[:3, :3] @ WORLD_FROM_HOUSE.T
        extrinsic[:3, 3] *= 1000
        lines += [
            f"name          {index}",
            "  sensor      14.1864 10.3776",
            f"  size        {camera.width} {camera.height}",
        ]
        lines += ["  animated    0", "  shutter     rolling 3"]
        lines += ["  intrinsic   " + " ".join(map(repr, intrinsic.ravel().tolist()))]
        lines += ["  extrinsic   " + " ".join(map(repr, extrinsic.ravel().tolist())), "  radial      0"]
    return "\n".join(lines) + "\n"


def body() -> dict[str, Any]:
    """smplx keywords."""
    generator = np.random.default_rng(0)
    shapes = {"body_pose": (4, 69), "global_orient": (4, 3), "transl": (4, 3), "betas": (10,)}
    return {key: generator.normal(size=shape) for key, shape in shapes.items()}


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path) -> Path:
    """The drawing in the set's layout; masks of twice the resolution."""
    root = tmp_path / "Subject0002" / "tight" / "training"
    for camera in range(3):
        frames = [drawn.load_frame(frame, camera, False) for frame in range(4)]
        masks = [np.kron(frame.is_foreground.numpy(), np.ones((2, 2), bool)) for frame in frames]
        write_video(
            root / "videos" / f"stream{camera:03d}.{'avi' if camera == 2 else 'mp4'}",
            [(frame.image * 255).round().byte().numpy() for frame in frames],
        )
        write_video(
            root / "masks" / f"stream{camera:03d}.mp4",
            [np.repeat(mask[..., None] * np.uint8(255), 3, 2) for mask in masks],
        )
    (root / "cameras.calibration").write_text(calibration(drawn))
    (root / "training_indices.txt").write_text("1 3\n")
    (root / "motions").mkdir()
    np.savez(root / "motions" / "smpl_params_smplx.npz", **body())
    return root


def test_the_set_is_read(
    folder: Path,
    assert_as_drawn: Callable[[Capture], None],
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
) -> None:
    capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
    assert (capture.name, capture.rig, capture.num_frames) == ("Subject0002_tight_training", "smpl_neutral", 4)
    assert_as_drawn(capture)
    assert capture.split("test_novel_view").camera_ids == (1,)
    assert capture.split("train_dense").camera_ids == (0, 2)
    assert capture.split("train_dense").frame_ids == (1, 3)
    values = body()
    for frame in range(4):
        place = PELVIS + values["transl"][frame]
        assert_root(capture.pose(frame), values["global_orient"][frame], place, WORLD_FROM_HOUSE.T)


def test_thetas_are_root_and_body_in_one(folder: Path, pose_from_smpl: Callable[[SmplPoses], Pose]) -> None:
    before, values = read_capture(folder, pose_from_smpl=pose_from_smpl).poses, body()
    thetas = np.hstack([values["global_orient"], values["body_pose"]])
    betas = np.tile(values["betas"], (4, 1))
    np.savez(folder / "motions" / "smpl_params_smplx.npz", betas=betas, thetas=thetas, transl=values["transl"])
    torch.testing.assert_close(
        read_capture(folder, pose_from_smpl=pose_from_smpl).poses.local_quats, before.local_quats
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("V1.0", "V2.0", "expected 'Skeletool Camera"),
        ("animated    0", "animated    1", "animated is not 0"),
        ("radial      0", "radial      0.1", "radial is not 0"),
        ("  size ", "  Size ", "has no 'size'"),
    ],
)
def test_broken_calibrations_are_refused(folder: Path, old: str, new: str, problem: str) -> None:
    path = folder / "cameras.calibration"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CaptureError, match=rf"cameras\.calibration: .*{problem}"):
        read_cameras(path)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path,
    damage_set: Callable[..., list[str]],
) -> None:
    assert len(damage_set(folder, lambda capture: [(1, camera) for camera in range(3)])) > 5


SKELETON = """Skeletool Skeleton Definition V1.0
joints: 4
  root_tx prismatic none 0 0 0 1 0 0 1.0
  root_ry revolute root_tx 0 1000 0 0 1 0 1.0
  arm_rz revolute root_ry 200 0 0 0 0 1 1.0
  hand revolute arm_rz 500 0 0 0 0 1 1.0
markers: 1
  m0 hand point 0 0 0 size 1 1 0 0
scaling joints: 0
dofs: 4
  translate_x 1
    nolimits
    root_tx 1000
  rotate_y 1
    limits -3.1 3.1
    root_ry 3
  lean 2
    nolimits
    arm_rz 0.5
    hand 0.25
  body_scale 1
    nolimits
    hand 7
textureEntries: 0
"""


def test_degrees_of_freedom_move_joints_by_their_weights(tmp_path: Path) -> None:
    """Metres times 1000 are millimetres, the root's turn is three times its value, one lean bends two joints."""
    (tmp_path / "actor.skeleton").write_text(SKELETON)
    skeleton = read_skeleton(tmp_path / "actor.skeleton")
    assert skeleton.dof_names == ("translate_x", "rotate_y", "lean", "body_scale")
    dofs = np.array([[0.0, 0.0, 0.0, 5.0], [2.0, np.pi / 6, np.pi, 5.0]])
    places = skeleton.places(dofs)
    np.testing.assert_allclose(places[0], [[0, 0, 0], [0, 1, 0], [0.2, 1, 0], [0.7, 1, 0]], atol=1e-12)
    # A quarter turn about y takes x to -z, and half of pi about z takes the forearm's x to y.
    np.testing.assert_allclose(places[1], [[2, 0, 0], [2, 1, 0], [2, 1, -0.2], [2, 1.5, -0.2]], atol=1e-12)


@pytest.mark.parametrize("count", [54, 107])
def test_motions_of_any_width_are_read(tmp_path: Path, count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(3, count)).round(6)
    text = "\n".join(f"{frame} " + " ".join(map(repr, row.tolist())) for frame, row in enumerate(rows))
    (tmp_path / "a.motion").write_text("Skeletool Motion File V1.0\n" + text + "\n")
    frames, dofs = read_motion(tmp_path / "a.motion")
    assert frames.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(dofs, rows)
    (tmp_path / "a.motion").write_text("Skeletool Motion File V1.0\n0 1 2\n0 1 2\n0 1 2\n")
    with pytest.raises(CaptureError, match="expected frame numbers that rise"):
        read_motion(tmp_path / "a.motion")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("joints: 4", "joints: 99999999"),
        ("root_tx prismatic none", "root_tx prismatic hand"),
        ("lean 2", "lean 9"),
        ("arm_rz 0.5", "arm_rz x"),
        ("dofs: 4", "dofs: 400"),
        ("hand 0.25", "foot 0.25"),
        ("dofs: 4", "dofs 4"),
    ],
)
def test_broken_skeletons_are_refused(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "actor.skeleton").write_text(SKELETON.replace(old, new))
    with pytest.raises(CaptureError, match=r"actor\.skeleton: "):
        read_skeleton(tmp_path / "actor.skeleton")
