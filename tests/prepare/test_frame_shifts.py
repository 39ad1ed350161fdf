"""Videos that are a few frames late."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.prepare import find_frame_shifts

from .rig import real_rig, ring, seen


def walk(frames: int) -> torch.Tensor:
    """Points that move a few centimetres a frame, on smooth paths: ``f j 3``, metres."""
    generator = torch.Generator().manual_seed(0)
    rest = (torch.rand(8, 3, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([0.6, 0.6, 1.6])
    phases = 6 * torch.rand(8, 3, generator=generator, dtype=torch.float64)
    times = torch.arange(frames, dtype=torch.float64)[:, None, None] * 0.2
    return rest + 0.2 * torch.sin(times + phases) + torch.tensor([0.0, 0.0, 1.0])


def late(values: torch.Tensor, frames: list[int], reach: int) -> torch.Tensor:
    """Every video from its own frame on."""
    count = len(values) - 2 * reach
    return torch.stack([values[reach - by : reach - by + count, i] for i, by in enumerate(frames)], dim=1)


@pytest.mark.parametrize("frames", [[0, 0, 0, 0], [0, 2, 0, -1], [0, 1, 1, 1]])
def test_shifts_are_found(frames: list[int]):
    pixels = seen(ring(4), walk(26))
    pixels = pixels + torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pixels = late(pixels, frames, 2)
    found = find_frame_shifts(ring(4), pixels, torch.ones(pixels.shape[:3]), reach=2)
    assert found.frames.tolist() == frames
    assert found.after <= found.before
    assert found.after < 0.05


def test_too_few_frames_are_refused():
    pixels = seen(ring(3), walk(6))
    with pytest.raises(ValueError, match="more than 6 frames, got 3, 6"):
        find_frame_shifts(ring(3), pixels, torch.ones(pixels.shape[:3]))


def test_a_real_man(shared: Path):
    """Landmarks of four videos, two of them late."""
    known = torch.from_numpy(np.load(shared / "balance4" / "keypoints2d.npz")["keypoints"].astype(np.float64))[10:42]
    moved = late(known, [0, -2, 0, 1], 2)
    found = find_frame_shifts(real_rig(shared / "balance4"), moved[..., :2] + 0.5, moved[..., 2], reach=2)
    assert found.frames.tolist() == [0, -2, 0, 1]
