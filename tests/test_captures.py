"""Captures opened with the body model that fits them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.capture import PictureConfig, read_capture, write_capture
from avatar.captures import open_capture
from avatar.structs import Camera, Capture, Frame, Pose, Shape, Split

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SMALL = PictureConfig(cache_bytes=2**20)


def shared(name: str) -> Path:
    """The folder of a shared capture."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not here")
    return SHARED / name


def standing(rig: str) -> Capture:
    """One camera that sees nothing of a person at rest on a skeleton."""
    body = load_body(rig)
    camera = Camera(name="A", camera_from_world=torch.eye(4), intrinsics_px=torch.eye(3), height=8, width=8)
    pose = body.rest_pose()
    poses = Pose(local_quats=pose.local_quats[None], root_position_world=pose.root_position_world[None])

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        image, mask = torch.zeros(8, 8, 3), torch.zeros(8, 8, dtype=torch.bool)
        return Frame(camera=camera, image=image, is_foreground=mask, pose=pose, frame_id=frame_id, camera_id=camera_id)

    return Capture(
        name="standing",
        cameras=(camera,),
        poses=poses,
        shape=body.default_shape(),
        splits={"all": Split(name="all", frame_ids=(0,), camera_ids=(0,))},
        frame_rate_hz=30.0,
        load_frame=load_frame,
        rig=rig,
    )


@pytest.mark.parametrize("name", ["studio_tee", "studio_skirt"])
def test_the_exact_body_is_read(name: str) -> None:
    folder = shared(name)
    capture = open_capture(folder, pictures=SMALL)
    assert capture.rig == "cmu_mb"
    body, truth = load_body(capture.rig), np.load(folder / "body.npz")
    assert body.joint_names == tuple(truth["bone_labels"].tolist())
    person = body.shaped(capture.shape)
    for frame in range(capture.num_frames):
        posed = person.posed(capture.poses[frame])
        assert (posed.joints_world - torch.from_numpy(truth["joints_world"][frame])).norm(dim=1).max() < 1e-5
        keypoints = torch.from_numpy(np.load(folder / "keypoints3d" / f"{frame}.npy")).float()
        assert (body.keypoints_coco(posed) - keypoints).norm(dim=1).max() < 2e-5


def test_captures_without_an_exact_body_have_the_default_rig() -> None:
    assert open_capture(shared("balance4"), pictures=SMALL).rig == "anny"
    capture = read_capture(shared("studio_tee"), pose_from_local_ref=load_body().pose_from_local_ref, pictures=SMALL)
    assert capture.rig == "anny"


@pytest.mark.parametrize("rig", ["anny", "cmu_mb"])
def test_the_rig_is_written_and_read_back(rig: str, tmp_path: Path) -> None:
    write_capture(standing(rig), tmp_path / "standing")
    capture = open_capture(tmp_path / "standing")
    assert capture.rig == rig
    assert capture.poses.local_quats.shape == (1, len(load_body(rig).parents), 4)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rig": "mixamo"}, "expected one of anny, cmu_mb, .*found 'mixamo'"),
        ({"rig": "cmu_mb"}, r"expected \(31, 4\)"),
        ({"shape": Shape(names=("betas",), values=torch.zeros(1))}, "expected .*gender"),
    ],
)
def test_bodies_that_do_not_fit_the_model_are_refused(
    changes: dict[str, str | Shape], problem: str, tmp_path: Path
) -> None:
    write_capture(replace(standing("anny"), **changes), tmp_path / "standing")
    with pytest.raises(ValueError, match=f"standing: its body parameters do not fit the body model: .*{problem}"):
        open_capture(tmp_path / "standing")
