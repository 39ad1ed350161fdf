"""Everybody in a video, painted so that it is known who is where."""

from collections.abc import Sequence

import numpy as np
import pytest

from avatar.prepare import PeopleConfig, Sightings, find_people

from .paint import COLORS, Block, Painted, paint


def seen_in(
    frames: Sequence[Sequence[Block]], stage: Painted | None = None, config: PeopleConfig | None = None
) -> Sightings:
    return find_people((paint(blocks) for blocks in frames), stage or Painted(), config)


def whose(seen: Sightings) -> list[set[int]]:
    """The colours, by number, of each track."""
    nearest = np.abs(seen.colors[:, :1] - COLORS.astype(float)).sum(axis=2).argmin(axis=1)
    return [set(nearest[seen.tracks == track].tolist()) for track in range(seen.num_tracks)]


def test_one_person_costs_one_look_a_picture() -> None:
    stage = Painted()
    seen = seen_in([[(0, 40 + 2 * i, 60)] for i in range(60)], stage)
    assert (seen.num_tracks, len(seen.pictures)) == (1, 60)
    assert stage.looks <= 62
    assert stage.detections <= 60 / 10 + 1


def test_people_who_cross_stay_themselves() -> None:
    frames = [[(1, 200 - 4 * i, 70), (0, 40 + 4 * i, 80)] for i in range(40)]
    seen = seen_in(frames)
    assert sorted(map(sorted, whose(seen))) == [[0], [1]]
    table = seen.table()
    assert table.shape == (40, 2)
    assert (table[[0, 39]] >= 0).all(), "both have one track before and after"
    hidden = (table < 0).any(axis=1)
    assert 0 < hidden.sum() < 14, "the one behind is lost for a while, and not taken for the one in front"


def test_who_leaves_and_comes_back_soon_is_the_same() -> None:
    frames = [[(0, 100, 60)] if not 10 <= i < 20 else [] for i in range(40)]
    frames = [[(2, 180 + i % 5, 60), *blocks] for i, blocks in enumerate(frames)]
    moving = [[(who, middle + 0.7 * i, height) for who, middle, height in blocks] for i, blocks in enumerate(frames)]
    assert sorted(map(sorted, whose(seen_in(moving)))) == [[0], [2]]


def test_who_comes_back_late_is_known_by_the_clothes() -> None:
    frames = [[(2, 180 + i % 5, 60), *([(0, 60 + i, 60)] if not 10 <= i < 20 else [])] for i in range(30)]
    config = PeopleConfig(max_gap=4)
    assert sorted(map(sorted, whose(seen_in(frames, config=config)))) == [[0], [2]]
    changed = [
        [(1 if i >= 20 and who == 0 else who, middle, height) for who, middle, height in blocks]
        for i, blocks in enumerate(frames)
    ]
    assert sorted(map(sorted, whose(seen_in(changed, config=config)))) == [[0], [1], [2]]


def test_somebody_else_in_the_same_place_is_another_track() -> None:
    """In one picture a person is gone and another stands there."""
    frames = [[(0 if i < 20 else 1, 60 + i + (25 if i >= 20 else 0), 70)] for i in range(40)]
    assert whose(seen_in(frames)) == [{0}, {1}]


def test_what_never_moves_is_no_person_beside_one_who_does() -> None:
    frames = [[(1, 200, 50), (0, 40 + 2 * i, 60)] for i in range(40)]
    assert whose(seen_in(frames)) == [{0}]
    assert whose(seen_in([[(1, 200, 50)]] * 10)) == [{1}], "alone it may be one who stands still"
    large = [[(0, 40 + i, 40), (1, 180, 70)] for i in range(20)]
    assert sorted(map(sorted, whose(seen_in(large)))) == [[0], [1]], "the largest may be one who stands still"


def test_who_is_hardly_ever_there_or_small_is_dropped() -> None:
    frames = [[(0, 40 + i, 60), *([(1, 150.0 + i, 60)] if i == 30 else []), (2, 220 - i, 20)] for i in range(70)]
    assert whose(seen_in(frames, config=PeopleConfig(min_presence=0.1))) == [{0}]


def test_at_most_so_many_are_followed() -> None:
    frames = [[(0, 40 + i, 70), (1, 120 + i, 60), (2, 180 + i, 50)] for i in range(12)]
    assert seen_in(frames).num_tracks == 3
    assert sorted(map(sorted, whose(seen_in(frames, config=PeopleConfig(max_people=2))))) == [[0], [1]]


def test_who_the_detector_merges_with_another_is_found_once_that_one_is_hidden() -> None:
    class OneAtATime(Painted):
        def detect(self, picture: np.ndarray) -> list:
            return super().detect(picture)[:1]

    frames = [[(0, 60 + i, 70), (1, 120 + i, 60), (2, 180 + i, 50)] for i in range(12)]
    seen = seen_in(frames, OneAtATime())
    assert (seen.num_tracks, len(seen.pictures)) == (3, 36)


def test_nobody() -> None:
    stage = Painted()
    seen = seen_in([[]] * 5, stage)
    assert (seen.num_tracks, int(seen.num_pictures), seen.table().shape) == (0, 5, (5, 0))
    assert (stage.looks, stage.detections) == (0, 5)
    assert seen_in([]).num_tracks == 0


def test_the_same_again() -> None:
    frames = [[(1, 200 - 4 * i, 70), (0, 40 + 4 * i, 80)] for i in range(40)]
    first, second = (seen_in(frames).arrays() for _ in range(2))
    assert all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def test_configs_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match=r"PeopleConfig\.max_people: expected one or more, got 0"):
        PeopleConfig(max_people=0)
    with pytest.raises(ValueError, match=r"PeopleConfig\.min_size: expected 0 <= share < 1, got 1\.5"):
        PeopleConfig(min_size=1.5)
    with pytest.raises(ValueError, match=r"PeopleConfig\.max_move: expected more than 0, got 0"):
        PeopleConfig(max_move=0.0)
