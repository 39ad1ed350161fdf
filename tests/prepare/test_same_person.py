"""The same person in all cameras, for people whose places are known."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from avatar.prepare import PeopleSeen, match_people
from avatar.prepare.same_person import best_path
from avatar.structs import Camera

from .rig import person, ring, seen

FRAMES = 40


def crowd(count: int, reach: float = 1.2) -> torch.Tensor:
    """People who walk past each other on lines of several directions: ``f k 33 3``."""
    along = torch.linspace(-1, 1, FRAMES, dtype=torch.float64)[:, None, None]
    people = []
    for i in range(count):
        angle = torch.tensor(0.4 + i * 2.1)
        way = torch.stack([angle.cos(), angle.sin(), torch.tensor(0.0)]).double() * reach
        aside = torch.tensor([-float(way[1]), float(way[0]), 0.0]) * 0.4
        still = person(1, seed=i) + 0.02 * torch.randn(FRAMES, 33, 3, generator=torch.Generator().manual_seed(i))
        people.append(still - still.mean(dim=1, keepdim=True) + along * way + aside + torch.tensor([0.0, 0.0, 1.0]))
    return torch.stack(people, dim=1)


def views(cameras: list[Camera], people: torch.Tensor, noise_px: float = 4.0) -> list[PeopleSeen]:
    """Everybody in every camera, numbered as in ``people``."""
    pixels = torch.stack([seen(cameras, people[:, k]) for k in range(people.shape[1])], dim=2)  # f c k j 2
    pixels = pixels + noise_px * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(7))
    return [
        PeopleSeen(points_px=pixels[:, i], confidences=torch.ones(pixels[:, i].shape[:-1])) for i in range(len(cameras))
    ]


def renumbered(view: PeopleSeen, who: np.ndarray) -> PeopleSeen:
    """Tracks that follow person ``who[f, k]``; -1 for nobody."""
    chosen = torch.from_numpy(np.maximum(who, 0))
    moments = torch.arange(len(who))[:, None]
    is_seen = torch.from_numpy(who >= 0)
    points = torch.where(is_seen[..., None, None], view.points_px[moments, chosen], torch.nan)
    return PeopleSeen(points_px=points, confidences=view.confidences[moments, chosen] * is_seen[..., None])


def everybody(*order: int) -> np.ndarray:
    return np.tile(np.array(order), (FRAMES, 1))


def test_people_numbered_differently_are_matched() -> None:
    cameras = ring(4)
    whole = views(cameras, crowd(3))
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)]
    people = match_people(
        cameras, [renumbered(view, everybody(*order)) for view, order in zip(whole, orders, strict=True)]
    )
    assert len(people) == 3
    for found in people:
        who = [orders[camera][track] for camera, track in enumerate(found.tracks[0])]
        assert len(set(who)) == 1, "one person in all cameras"
        assert (found.tracks == found.tracks[0]).all(), "who never jumps is followed throughout"
        assert found.agreement > 0.35
    assert [found.size for found in people] == sorted((found.size for found in people), reverse=True)


def test_a_track_that_jumps_to_another_person_is_cut_and_repaired() -> None:
    cameras = ring(4)
    whole = views(cameras, crowd(2))
    who = everybody(0, 1)
    who[25:] = (1, 0)  # the two changed tracks as they crossed
    lost = everybody(0, 1)
    lost[10:, 0] = 1  # the first track went to the second person, who has two tracks now
    tracks = [whole[0], renumbered(whole[1], who), renumbered(whole[2], lost), whole[3]]
    for found in match_people(cameras, tracks, max_people=2):
        is_first = found.tracks[0, 0] == 0
        assert (found.tracks[:, 0] == found.tracks[0, 0]).all()
        assert (found.tracks[:, 3] == found.tracks[0, 3]).all()
        assert [who[f, k] for f, k in enumerate(found.tracks[:, 1])] == [0 if is_first else 1] * FRAMES
        if is_first:
            assert (found.tracks[:10, 2] == 0).all()
            assert (found.tracks[10:, 2] == -1).all(), "nobody has the first person's place there"
        else:
            assert (lost[np.arange(FRAMES), found.tracks[:, 2]] == 1).all()


def test_each_camera_has_another_largest_person() -> None:
    """The main person is the one seen in most cameras, though others are larger in one or two."""
    cameras = ring(4)
    whole = views(cameras, crowd(3, reach=0.5))
    rare = [renumbered(whole[0], everybody(1, 0)), renumbered(whole[1], everybody(2, 0)), whole[2], whole[3]]
    rare[2] = renumbered(whole[2], everybody(0))
    rare[3] = renumbered(whole[3], everybody(0))
    near = PeopleSeen(points_px=rare[0].points_px.clone(), confidences=rare[0].confidences)
    near.points_px[:, 0] = (near.points_px[:, 0] - 300) * 1.7 + 300
    rare[0] = near
    main = match_people(cameras, rare)[0]
    assert (main.tracks == [1, 1, 0, 0]).all()


def test_a_camera_without_the_person_has_none() -> None:
    cameras = ring(5)
    whole = views(cameras, crowd(2))
    tracks = [*whole[:4], renumbered(whole[4], everybody(1))]
    empty = PeopleSeen(points_px=torch.zeros(FRAMES, 0, 33, 2), confidences=torch.zeros(FRAMES, 0, 33))
    tracks[3] = empty
    first = next(found for found in match_people(cameras, tracks) if found.tracks[0, 0] == 0)
    assert (first.tracks == [0, 0, 0, -1, -1]).all()


def test_cameras_a_degree_off_and_clocks_two_frames_off_do_not_matter() -> None:
    cameras = ring(4)
    people = crowd(3)
    late = torch.stack([people[max(0, f - 2)] for f in range(FRAMES)])
    whole = views(cameras, people, noise_px=8.0)
    whole[2] = views(cameras, late, noise_px=8.0)[2]
    whole[1] = PeopleSeen(points_px=whole[1].points_px + 12.0, confidences=whole[1].confidences)
    assert all((found.tracks == found.tracks[0, 0]).all() for found in match_people(cameras, whole))


def test_one_camera_follows_the_largest() -> None:
    (camera,) = ring(1)
    (view,) = views([camera], crowd(2, reach=0.3))
    sizes = view.heights_px().mean(dim=0)
    (main, *_) = match_people([camera], [view])
    assert (main.tracks == int(sizes.argmax())).all()
    assert np.isnan(main.agreement)


def test_the_same_again() -> None:
    cameras = ring(4)
    first, second = (match_people(cameras, views(cameras, crowd(3))) for _ in range(2))
    assert all(
        (left.tracks == right.tracks).all() and left.size == right.size
        for left, right in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_is_the_best_of_all(seed: int) -> None:
    values, change = np.random.default_rng(seed).normal(0, 1, (6, 2)), 0.8

    def worth(path: tuple[int, ...]) -> float:
        gained = sum(values[f, k] for f, k in enumerate(path) if k >= 0)
        changes = sum((0.5 if -1 in pair else 1.0) for pair in pairwise(path) if pair[0] != pair[1])
        return gained - change * changes

    best = max(worth(path) for path in product((-1, 0, 1), repeat=6))
    assert worth(tuple(best_path(values, change).tolist())) == pytest.approx(best)
