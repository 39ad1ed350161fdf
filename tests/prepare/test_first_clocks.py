"""Clocks of videos in which several people move, whose tracks have other numbers in each."""

import numpy as np
import torch

from avatar.prepare.first_clocks import PeopleFilmed, first_clocks
from avatar.prepare.same_person import PeopleSeen

from .rig import person, ring, seen

RATE_HZ = 25.0
FRAMES = 150


def moving(seed: int, frames: int) -> torch.Tensor:
    """Somebody who jumps and waves in a way of their own, about a place of their own: ``f 33 3``."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.arange(frames, dtype=torch.float64) / RATE_HZ
    rest = person(1, seed=seed)
    place = torch.tensor([np.cos(2.1 * seed), np.sin(2.1 * seed), 0.0]) * 0.7
    rates, phases, sizes = torch.rand(3, 4, 33, generator=generator, dtype=torch.float64)
    waves = ((1 + 5 * rates) * times[:, None, None] + 6.3 * phases).sin() * sizes
    heights = 0.08 * waves.sum(dim=1) + 0.15 * (1.3 * times * (1 + 0.3 * seed) + seed).sin()[:, None] ** 3
    return rest + place + torch.stack([torch.zeros_like(heights)] * 2 + [heights], dim=-1)


def filmed(late: tuple[int, ...], orders: tuple[tuple[int, ...], ...]) -> list[PeopleFilmed]:
    """Videos that begin so many frames after the first moment, with these people under the tracks' numbers."""
    people = torch.stack([moving(seed, FRAMES + max(late)) for seed in range(3)], dim=1)
    videos = []
    for i, (begin, order) in enumerate(zip(late, orders, strict=True)):
        shown = people[begin : begin + FRAMES]
        points = torch.stack([seen(ring(3), shown[:, k])[:, i] for k in range(3)], dim=1)[:, list(order)]
        points = points + 2 * torch.randn(points.shape, generator=torch.Generator().manual_seed(i))
        views = PeopleSeen(points_px=points, confidences=torch.ones(points.shape[:-1], dtype=torch.float64))
        videos.append(PeopleFilmed(times_s=np.arange(FRAMES) / RATE_HZ, seen=views))
    return videos


def test_offsets_are_found_whoever_is_seen_by_two() -> None:
    late = (0, 30, 12)
    for orders in (((0,), (0,), (0,)), ((0, 1), (1, 0), (2, 1)), ((0, 2), (2, 1), (1, 0))):
        offsets = first_clocks(ring(3), filmed(late, orders))
        np.testing.assert_allclose(offsets * RATE_HZ, late, atol=1)


def test_nobody_in_common_is_no_offset() -> None:
    assert first_clocks(ring(3), filmed((0, 0, 0), ((0,), (), (0,))))[1] == 0


def test_few_pictures_tell_nothing() -> None:
    videos = [
        PeopleFilmed(
            times_s=each.times_s[:3],
            seen=PeopleSeen(points_px=each.seen.points_px[:3], confidences=each.seen.confidences[:3]),
        )
        for each in filmed((0, 9, 0), ((0,), (0,), (0,)))
    ]
    assert (first_clocks(ring(3), videos) == 0).all()
