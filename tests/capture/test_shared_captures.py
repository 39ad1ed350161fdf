"""The three captures that we work with, where they are there: sizes, calibration, poses and masks agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import AnnyBody, load_body
from avatar.capture import CaptureError, PictureConfig, read_capture
from avatar.geometry import project, transform_points
from avatar.structs import Capture, Frame

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NAMES = ("studio_tee", "studio_skirt", "balance4")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared captures")


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    """The default body model."""
    return load_body()


def read(name: str, body: AnnyBody) -> Capture:
    """A shared capture with small memory."""
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the shared capture {name}")
    pictures = PictureConfig(cache_bytes=2**24)
    return read_capture(
        DATA / name, pose_from_local_ref=body.pose_from_local_ref, split="train_dense", pictures=pictures
    )


def project_into(frame: Frame, points_world: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2"]:
    """Where points lie in the picture, pixels."""
    return project(transform_points(frame.camera.camera_from_world, points_world), frame.camera.intrinsics_px)[0]


@pytest.mark.parametrize(
    ("name", "cameras", "frames", "splits", "pictures", "rate"),
    [("studio_tee", 20, 50, 6, 320, 7.5), ("studio_skirt", 20, 40, 6, 192, 12.0), ("balance4", 4, 50, 14, 75, 30.0)],
)
def test_sizes(body: AnnyBody, name: str, cameras: int, frames: int, splits: int, pictures: int, rate: float) -> None:
    capture = read(name, body)
    assert (len(capture.cameras), capture.num_frames, len(capture.splits)) == (cameras, frames, splits)
    assert len(capture.split("train_dense")) == pictures
    assert capture.frame_rate_hz == rate
    assert capture.name == name
    assert capture.shape.names == ("gender", "age", "muscle", "weight", "height", "proportions")


@pytest.mark.parametrize("name", NAMES)
def test_cameras_stand_upright(body: AnnyBody, name: str) -> None:
    up = torch.stack([-camera.camera_from_world[1, :3] for camera in read(name, body).cameras]).mean(0)
    assert up[2] / up.norm() > np.cos(np.radians(20))


@pytest.mark.parametrize(("name", "least"), [("studio_tee", 1.0), ("studio_skirt", 0.99), ("balance4", 0.9)])
def test_keypoints_lie_in_the_masks(body: AnnyBody, name: str, least: float) -> None:
    capture = read(name, body)
    hits = []
    for frame_id, camera_id in capture.split("test_novel_view").pairs()[::7]:
        frame = capture.load_frame(frame_id, camera_id, True)
        keypoints = torch.from_numpy(np.load(DATA / name / "keypoints3d" / f"{frame_id}.npy")[:, :3]).float()
        columns, rows = project_into(frame, keypoints).floor().long().unbind(-1)
        seen = (columns >= 0) & (columns < frame.camera.width) & (rows >= 0) & (rows < frame.camera.height)
        hits.append(frame.is_foreground[rows[seen], columns[seen]].sum() / len(seen))
    assert torch.stack(hits).mean() >= least


@pytest.mark.parametrize("name", ["studio_tee", "studio_skirt"])
def test_rendered_surfaces_and_masks_share_their_middle(body: AnnyBody, name: str) -> None:
    """Half a pixel of error in the principal point would show: the boxes' centres agree to a tenth on average."""
    capture = read(name, body)
    offsets = []
    for frame_id, camera_id in capture.split("test_novel_view").pairs():
        frame = capture.load_frame(frame_id, camera_id, True)
        surface = capture.load_surface(frame_id)
        assert surface is not None
        pixels = project_into(frame, surface.vertices)
        rows, columns = frame.is_foreground.any(1).nonzero(), frame.is_foreground.any(0).nonzero()
        middle = torch.stack([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]).squeeze(-1) / 2
        offsets.append((pixels.amin(0) + pixels.amax(0)) / 2 - middle)
    assert torch.stack(offsets).mean(0).abs().max() < 0.1


def test_poses_give_the_joints_of_the_fit(body: AnnyBody) -> None:
    capture = read("balance4", body)
    expected = torch.from_numpy(np.load(DATA / "balance4" / "body_default.npz")["joints"])
    person = body.shaped(capture.shape)
    joints = torch.stack([person.posed(capture.poses[frame]).joints_world for frame in range(capture.num_frames)])
    torch.testing.assert_close(joints, expected, atol=1e-5, rtol=0)


def test_bodies_need_their_model() -> None:
    with pytest.raises(CaptureError, match=r"body_default\.npz: holds Anny's poses; pass pose_from_local_ref"):
        read_capture(DATA / "balance4")
