"""Triangulation of points whose place is known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.prepare.skeleton import SWAP_GROUPS
from avatar.prepare.triangulate import bone_lengths, swap_sides, triangulate

from .rig import person, real_rig, ring, seen


def noise(like: torch.Tensor, sigma_px: float) -> torch.Tensor:
    return sigma_px * torch.randn(like.shape, generator=torch.Generator().manual_seed(1), dtype=like.dtype)


def test_exact_without_noise():
    cameras, truth = ring(4), person(5)
    pixels = seen(cameras, truth)
    found = triangulate(cameras, pixels, torch.ones(pixels.shape[:3]))
    torch.testing.assert_close(found.points_world, truth, atol=1e-6, rtol=0)
    assert float(found.residuals_px.max()) < 1e-3
    assert float(found.confidences.min()) > 0.999
    assert not found.is_swapped.any()


def test_two_cameras_suffice_and_one_does_not():
    cameras, truth = ring(5)[:2], person(3)
    pixels = seen(cameras, truth)
    weights = torch.ones(pixels.shape[:3])
    pixels[0, 0, 4] = math.nan
    weights[1, 1, 5] = 0
    found = triangulate(cameras, pixels, weights).points_world
    is_lost = torch.zeros(3, 33, dtype=torch.bool)
    is_lost[0, 4] = is_lost[1, 5] = True
    assert torch.equal(found.isnan().all(dim=-1), is_lost)
    torch.testing.assert_close(found[~is_lost], truth[~is_lost], atol=1e-6, rtol=0)


def test_a_fifth_of_outliers_does_not_matter():
    """At most two of six views of a point are wrong by tens or hundreds of pixels; the others by one."""
    cameras, truth = ring(6), person(5)
    clean = seen(cameras, truth)
    generator = torch.Generator().manual_seed(2)
    draw = torch.rand(clean.shape[:3], generator=generator)
    is_wrong = (draw < 0.2) & (draw.argsort(dim=1).argsort(dim=1) < 2)
    assert 0.17 < float(is_wrong.double().mean()) < 0.2
    pixels = clean + noise(clean, 1.0)
    wrong = clean + (torch.rand(clean.shape, generator=generator) - 0.5) * 500
    found = triangulate(cameras, torch.where(is_wrong[..., None], wrong, pixels), torch.ones(clean.shape[:3]))
    best = triangulate(cameras, pixels, torch.where(is_wrong, 0.0, 1.0))
    errors, unavoidable = (torch.linalg.vector_norm(each.points_world - truth, dim=-1) for each in (found, best))
    assert float(errors.mean()) < 1.1 * float(unavoidable.mean())
    assert float(errors.max()) < 0.02
    assert float(found.confidences.min()) > 0.5


def test_without_outliers_all_cameras_count():
    """The error is that of least squares, which falls with the number of cameras."""
    errors = []
    for count in (2, 8):
        cameras, truth = ring(8)[:count], person(8)
        pixels = seen(cameras, truth)
        found = triangulate(cameras, pixels + noise(pixels, 1.0), torch.ones(pixels.shape[:3]))
        errors.append(float((found.points_world - truth).square().mean().sqrt()))
    assert errors[1] < 0.003
    assert errors[1] < 0.6 * errors[0]


def test_swapped_sides_are_found():
    cameras, truth = ring(5), person(8)
    pixels = seen(cameras, truth)
    is_swapped = torch.rand(8, 5, 3, generator=torch.Generator().manual_seed(3)) < 0.15
    is_swapped &= is_swapped.cumsum(dim=1) <= 2  # never most of the cameras
    assert is_swapped.sum() > 8
    pixels = swap_sides(pixels + noise(pixels, 1.0), is_swapped)
    found = triangulate(cameras, pixels, torch.ones(pixels.shape[:3]))
    assert torch.equal(found.is_swapped, is_swapped)
    assert float((found.points_world - truth).norm(dim=-1).max()) < 0.02


def test_swapping_twice_is_nothing():
    values = torch.randn(2, 3, 33, 2)
    is_swapped = torch.tensor([True, False, True]).expand(2, 3, 3)
    once = swap_sides(values, is_swapped)
    assert torch.equal(swap_sides(once, is_swapped), values)
    assert torch.equal(once[:, :, list(SWAP_GROUPS["arms"])], values[:, :, list(SWAP_GROUPS["arms"])])
    assert torch.equal(once[:, :, 25], values[:, :, 26]), "left and right knee"


def test_other_landmarks_than_ours_have_no_sides():
    cameras, truth = ring(3), person(4, joints=7)
    pixels = seen(cameras, truth)
    found = triangulate(cameras, pixels, torch.ones(pixels.shape[:3]))
    torch.testing.assert_close(found.points_world, truth, atol=1e-6, rtol=0)


def test_a_wrong_camera_stands_out():
    cameras, truth = ring(5), person(5)
    pixels = seen(cameras, truth)
    pixels[:, 3] += 12.0
    medians = triangulate(cameras, pixels, torch.ones(pixels.shape[:3])).camera_residuals_px()
    assert medians.argmax() == 3
    assert float(medians[3]) > 3 * float(medians[[0, 1, 2, 4]].max())


def test_bones_have_one_length():
    points = person(1).expand(6, 33, 3).clone()
    points[:, 13] += torch.linspace(-0.05, 0.05, 6)[:, None]  # the left elbow
    points[2, 25] = math.nan  # the left knee, once
    bones = {each.name: each for each in bone_lengths(points)}
    assert len(bones) == 10
    assert bones["right_hip to right_knee"].spread_m == 0
    assert bones["left_hip to left_knee"].spread_m < 1e-12
    assert bones["left_shoulder to left_elbow"].spread_m > 0.005
    expected = torch.linalg.vector_norm(points[0, 24] - points[0, 26])
    assert bones["right_hip to right_knee"].metres == pytest.approx(float(expected))


def test_a_real_man(shared: Path):
    """Four cameras, network landmarks: cameras agree to a few pixels, bones keep their length to a centimetre."""
    cameras = real_rig(shared / "balance4")
    known = torch.from_numpy(np.load(shared / "balance4" / "keypoints2d.npz")["keypoints"].astype(np.float64))[::4]
    found = triangulate(cameras, known[..., :2] + 0.5, known[..., 2])
    assert float(found.camera_residuals_px().max()) < 7
    assert max(bone.spread_m for bone in bone_lengths(found.points_world)) < 0.02
    thigh = next(bone for bone in bone_lengths(found.points_world) if bone.name == "right_hip to right_knee")
    assert 0.36 < thigh.metres < 0.44
