"""A template in known clothes, seen by its masks alone, puts them on."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avatar.checkpoint import load_hybrid
from avatar.engine import rasterize_mesh
from avatar.geometry import project, transform_points, triangle_areas, vertex_normals
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Capture, Frame, Mesh, Split
from avatar.train import HybridFit, HybridFitConfig
from avatar.train.clothe import ClotheConfig, clothe

AROUND = Split(name="around", frame_ids=(0, 7, 14), camera_ids=(0, 1, 2, 3))
CONFIG = ClotheConfig(pictures=12, rounds=3)


@pytest.fixture(scope="module")
def avatar(sample: Capture) -> HybridAvatar:
    frame_ids = tuple(range(sample.num_frames))
    return HybridAvatar(
        shape=sample.shape, poses=sample.poses, frame_ids=frame_ids, config=HybridAvatarConfig(), rig=sample.rig
    )


def silhouette(avatar: HybridAvatar, displacement: Tensor, frame: Frame) -> Tensor:
    mesh = Mesh(vertices=avatar.template.vertices + displacement, faces=avatar.template.faces)
    posed = avatar.deform(mesh, avatar.body(avatar.shape, frame.pose))
    assert isinstance(posed, Mesh)
    camera = frame.camera
    pixels, depths = project(transform_points(camera.camera_from_world, posed.vertices), camera.intrinsics_px)
    return rasterize_mesh(pixels, depths, mesh.faces, camera.height, camera.width).triangles >= 0


def overlap(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


@torch.no_grad()
def test_even_clothes_are_found(avatar: HybridAvatar, sample: Capture) -> None:
    """Two centimetres all over: half of the surface is within a quarter of it, and a new silhouette is right."""
    suit = 0.02 * vertex_normals(avatar.template.vertices, avatar.template.faces)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = sample.load_frame(frame_id, camera_id, cropped)
        return replace(frame, is_foreground=silhouette(avatar, suit, frame))

    shell = clothe(avatar, replace(sample, load_frame=load_frame), AROUND, CONFIG)
    faces = avatar.template.faces
    thickness, areas = ((shell * suit).sum(1) / 0.02)[faces].mean(1), triangle_areas(avatar.template.vertices, faces)
    order = thickness.argsort()
    middle = thickness[order][areas[order].cumsum(0) > areas.sum() / 2][0]
    assert float(middle) == pytest.approx(0.02, abs=0.005)
    frame = sample.load_frame(21, 1, True)  # one that it was not shown
    assert overlap(silhouette(avatar, shell, frame), silhouette(avatar, suit, frame)) > 0.9


@torch.no_grad()
def test_a_body_in_its_own_skin_stays_naked(avatar: HybridAvatar, sample: Capture) -> None:
    nothing = torch.zeros_like(avatar.template.vertices)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = sample.load_frame(frame_id, camera_id, cropped)
        return replace(frame, is_foreground=silhouette(avatar, nothing, frame))

    shell = clothe(avatar, replace(sample, load_frame=load_frame), AROUND, CONFIG)
    assert float(shell.norm(dim=1).quantile(0.95)) < 0.004


@torch.no_grad()
def test_the_dancer_fills_her_masks(avatar: HybridAvatar, sample: Capture) -> None:
    shell = clothe(avatar, sample, AROUND, CONFIG)
    assert torch.equal(shell, clothe(avatar, sample, AROUND, CONFIG)), "and the same every time"
    frames = [sample.load_frame(21, camera, True) for camera in AROUND.camera_ids]
    before, after = (
        sum(overlap(silhouette(avatar, offset, frame), frame.is_foreground) for frame in frames) / len(frames)
        for offset in (torch.zeros_like(shell), shell)
    )
    assert 1 - after < 0.7 * (1 - before)


def test_empty_masks_say_nothing(avatar: HybridAvatar, sample: Capture) -> None:
    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = sample.load_frame(frame_id, camera_id, cropped)
        return replace(frame, is_foreground=torch.zeros_like(frame.is_foreground))

    shell = clothe(avatar, replace(sample, load_frame=load_frame), AROUND, CONFIG)
    assert not bool(shell.any())


def test_a_fit_wears_it_and_keeps_it(start: Callable[..., HybridFit], recipe: HybridFitConfig, tmp_path: Path) -> None:
    fit = start(tmp_path / "clothed", replace(recipe, clothe=ClotheConfig(pictures=4, rounds=1)), steps=1)
    shell = fit.avatar.canonical.shell
    assert bool(shell.any())
    assert fit.seconds > 0
    list(fit)
    assert torch.equal(load_hybrid(fit.run).canonical.shell, shell)
    naked = start(tmp_path / "naked", replace(recipe, clothe=None), steps=1)
    assert not bool(naked.avatar.canonical.shell.any())
    assert naked.seconds < 0.1


@pytest.mark.parametrize("wrong", [{"pictures": 0}, {"rounds": -1}, {"reach_m": math.nan}, {"smooth_m": 0.0}])
def test_configs_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"ClotheConfig\.{next(iter(wrong))}: expected a positive number"):
        ClotheConfig(**wrong)
