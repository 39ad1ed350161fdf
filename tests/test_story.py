"""A capture becomes an avatar on the CPU: it looks like the person, survives its folder, and leaves as a PLY file."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.captures import open_capture
from avatar.checkpoint import load_hybrid, newest_checkpoint, save_avatar
from avatar.engine import set_threads
from avatar.export import read_ply, write_ply
from avatar.export.axes import VIEWER_FROM_WORLD, rotate_gaussians, to_viewer_axes
from avatar.model import HybridAvatar
from avatar.render import render
from avatar.structs import Capture, Frame, Gaussians
from avatar.train import HybridFit, HybridFitConfig, Limits

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "samples" / "dancer"
STEPS = 120


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(-10 * (one - other).square().mean().log10())


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """As the command line sets them: one for torch, every core for the engine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    set_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)
    set_threads(None)


@pytest.fixture(scope="module")
def capture() -> Capture:
    """The dancer."""
    return open_capture(SAMPLE, "all")


@pytest.fixture(scope="module")
def fit(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> HybridFit:
    """The first steps of the default recipe."""
    run = tmp_path_factory.mktemp("story") / "run"
    fit = HybridFit(capture, capture.split("train"), run, HybridFitConfig(), Limits(steps=STEPS))
    for _ in fit:
        pass
    return fit


@torch.no_grad()
def quality(avatar: HybridAvatar, capture: Capture, split: str) -> float:
    """Mean PSNR of whole pictures, in dB."""
    frames = [capture.load_frame(frame, camera, False) for frame, camera in capture.split(split).pairs()]
    views = [render(avatar.posed(frame.pose), frame.camera).color.clamp(0, 1) for frame in frames]
    return sum(psnr(view, frame.image) for view, frame in zip(views, frames, strict=True)) / len(frames)


@pytest.fixture(scope="module")
def frame(capture: Capture) -> Frame:
    """What a camera that was not trained on sees."""
    frame_id, camera_id = capture.split("test_novel_view").pairs()[3]
    return capture.load_frame(frame_id, camera_id, False)


@pytest.fixture(scope="module")
def posed(fit: HybridFit, frame: Frame) -> Gaussians:
    """The avatar at that moment."""
    with torch.no_grad():
        return fit.avatar.posed(frame.pose)


def test_it_looks_like_the_person_from_new_views_and_in_new_poses(fit: HybridFit, capture: Capture) -> None:
    """Seen: 28.1 and 26.8 dB or more, from 20.6 and 20.4."""
    untrained = HybridAvatar(
        shape=fit.avatar.shape, poses=fit.avatar.poses, frame_ids=fit.avatar.frame_ids, config=fit.config.avatar
    )
    for split, expected in (("test_novel_view", 27.0), ("test_novel_pose", 25.5)):
        before, after = (quality(avatar, capture, split) for avatar in (untrained, fit.avatar))
        assert after > expected, split
        assert after > before + 5, split


@torch.no_grad()
def test_it_covers_the_person(posed: Gaussians, frame: Frame) -> None:
    alpha = render(posed, frame.camera).alpha
    assert float(alpha[frame.is_foreground].mean()) > 0.9
    assert float(alpha[~frame.is_foreground].mean()) < 0.02


@torch.no_grad()
def test_its_checkpoint_reloads_bit_for_bit(fit: HybridFit, posed: Gaussians, frame: Frame, tmp_path: Path) -> None:
    loaded = load_hybrid(fit.run)
    ours, theirs = fit.avatar.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())
    assert torch.equal(render(posed, frame.camera).color, render(loaded.posed(frame.pose), frame.camera).color)
    save_avatar(loaded, tmp_path)
    tensors = (newest_checkpoint(fit.run) / "avatar.safetensors").read_bytes()
    assert (tmp_path / "avatar.safetensors").read_bytes() == tensors


@torch.no_grad()
def test_its_export_comes_back_to_the_same_picture(posed: Gaussians, frame: Frame, tmp_path: Path) -> None:
    write_ply(tmp_path / "dancer.ply", to_viewer_axes(posed))
    numbers = 14 + posed.sh[0].numel()
    assert (tmp_path / "dancer.ply").stat().st_size == pytest.approx(len(posed.means) * numbers * 4, rel=0.01)
    viewer = read_ply(tmp_path / "dancer.ply")
    heights = -viewer.means[:, 1]
    assert 1.3 < float(heights.quantile(0.999) - heights.quantile(0.001)) < 2.2, "y points down in viewers"
    back = rotate_gaussians(viewer, torch.tensor(VIEWER_FROM_WORLD).T)
    ours = render(posed, frame.camera).color
    assert psnr(render(back, frame.camera).color, ours) > 50


@torch.no_grad()
def test_viewers_see_it_with_a_turned_camera(posed: Gaussians, frame: Frame) -> None:
    """The same picture by turning the camera instead of turning the file back."""
    from_viewer = torch.eye(4)
    from_viewer[:3, :3] = torch.tensor(VIEWER_FROM_WORLD).T
    camera = replace(frame.camera, camera_from_world=frame.camera.camera_from_world @ from_viewer)
    assert psnr(render(to_viewer_axes(posed), camera).color, render(posed, frame.camera).color) > 60
