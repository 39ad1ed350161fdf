"""An avatar on a body that the user has brought: it is fitted, saved and loaded as any other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.capture import write_capture
from avatar.captures import open_capture
from avatar.checkpoint import load_hybrid, save_avatar
from avatar.deform import CorrectivesConfig, DeformConfig
from avatar.evaluate.body_parts import PARTS, part_of_vertices
from avatar.export.web_scene import web_scene
from avatar.geometry import look_at, quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import render
from avatar.structs import Camera, Capture, Frame, Pose, Split

Bring = Callable[[str], dict[str, np.ndarray]]
CONFIG = HybridAvatarConfig(
    canonical=HybridConfig(num_gaussians=600), deform=DeformConfig(correctives=CorrectivesConfig(num_modes=0))
)


def poses(rig: str, frames: int = 3) -> Pose:
    body = load_body(rig)
    turns = 0.2 * torch.randn(frames, len(body.parents), 3, generator=torch.Generator().manual_seed(0))
    return Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.zeros(frames, 3))


def person(rig: str) -> HybridAvatar:
    shape = load_body(rig).default_shape()
    return HybridAvatar(shape=shape, poses=poses(rig), frame_ids=range(3), config=CONFIG, rig=rig)


def camera() -> Camera:
    intrinsics = torch.tensor([[64.0, 0.0, 32.0], [0.0, 64.0, 32.0], [0.0, 0.0, 1.0]])
    eye, target, up = torch.tensor([0.0, -2.2, 0.0]), torch.tensor([0.0, 0.0, -0.4]), torch.tensor([0.0, 0.0, 1.0])
    return Camera(name="A", camera_from_world=look_at(eye, target, up), intrinsics_px=intrinsics, height=64, width=64)


def test_it_learns_is_saved_and_loaded(brought: Bring, tmp_path: Path) -> None:
    brought("smpl")
    avatar, pose = person("smpl_neutral"), poses("smpl_neutral")[1]
    optimizer = torch.optim.Adam(avatar.parameters(), lr=1e-2)
    target = 0.8 * (render(avatar.posed(pose), camera()).alpha.detach()[..., None] > 0.5)
    losses = []
    for _ in range(6):
        loss = (render(avatar.posed(pose), camera()).color - target).square().mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]
    save_avatar(avatar, tmp_path)
    again = load_hybrid(tmp_path)
    assert again.rig == "smpl_neutral"
    assert torch.equal(render(again.posed(pose), camera()).color, render(avatar.posed(pose), camera()).color)


def test_without_the_body_loading_says_what_to_do(
    brought: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought("smplx")
    save_avatar(person("smplx_neutral"), tmp_path)
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="avatar assets add-body FILE"):
        load_hybrid(tmp_path)


def test_gradients_reach_pose_and_shape_through_the_pose_blend_shapes(brought: Bring) -> None:
    brought("smpl")
    body = load_body("smpl_neutral", torch.float64)
    shape, pose = body.default_shape(), poses("smpl_neutral")[0]
    quats = pose.local_quats.double().requires_grad_()
    posed = body(shape, Pose(local_quats=quats, root_position_world=pose.root_position_world.double()))
    moved = posed.vertices_bent - posed.rest.vertices
    (slope,) = torch.autograd.grad(moved.square().sum(), quats)
    assert torch.equal(slope[0], torch.zeros(4).double()), "the root does not bend the body"
    assert (slope[1:].norm(dim=1) > 0).all()


def test_a_capture_knows_its_body(brought: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought("smpl")
    body, many = load_body("smpl_neutral"), poses("smpl_neutral", 1)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        image, mask = torch.zeros(64, 64, 3), torch.zeros(64, 64, dtype=torch.bool)
        return Frame(
            camera=camera(), image=image, is_foreground=mask, pose=many[0], frame_id=frame_id, camera_id=camera_id
        )

    capture = Capture(
        name="standing",
        cameras=(camera(),),
        poses=many,
        shape=body.default_shape(),
        splits={"all": Split(name="all", frame_ids=(0,), camera_ids=(0,))},
        frame_rate_hz=30.0,
        load_frame=load_frame,
        rig="smpl_neutral",
    )
    write_capture(capture, tmp_path / "capture")
    found = open_capture(tmp_path / "capture")
    assert found.rig == "smpl_neutral"
    torch.testing.assert_close(found.poses.local_quats, many.local_quats)
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="avatar assets add-body FILE"):
        open_capture(tmp_path / "capture")


@pytest.mark.parametrize("kind", ["smpl", "smplx"])
def test_the_parts_of_the_body_are_known(brought: Bring, kind: str) -> None:
    """What reports of an evaluation name places by."""
    brought(kind)
    body = load_body(f"{kind}_neutral")
    rest = body.shaped(body.default_shape()).rest.vertices
    parts = part_of_vertices(body, rest)
    means = {name: rest[parts == index].mean(0) for index, name in enumerate(PARTS) if bool((parts == index).any())}
    assert {"head", "torso", "left hand", "right foot", "left shin"} <= set(means)
    for name, mean in means.items():
        assert not name.startswith("left") or float(mean[0]) > 0.05
        assert not name.startswith("right") or float(mean[0]) < -0.05
    assert float(means["head"][2]) > float(means["torso"][2]) > float(means["left shin"][2])


def test_the_web_viewer_shows_it(brought: Bring) -> None:
    brought("smpl")
    content = web_scene(person("smpl_neutral"), "somebody")
    tensors = load(content)
    assert tensors["shape.low"].shape == (10, 144, 3)
