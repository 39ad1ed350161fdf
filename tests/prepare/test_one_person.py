"""The person that is asked for, in videos whose numbers of tracks and clocks differ."""

import numpy as np
import pytest

from avatar.prepare import PersonAt, Sightings, first_moments, follow_one, wanted_person

from .rig import ring
from .test_same_person import FRAMES, crowd, views

CAMERAS = ring(3)


def filmed(orders: tuple[tuple[int, ...], ...], first: int = 0) -> list[Sightings]:
    """Everybody in each camera's video, under numbers of its own; videos begin ``first`` pictures before the people."""
    found = []
    for view, order in zip(views(CAMERAS, crowd(2)), orders, strict=True):
        count, people = FRAMES, len(order)
        points = view.points_px[:, list(order)].reshape(-1, 33, 2).numpy().astype(np.float32)
        found.append(
            Sightings(
                num_pictures=np.array(count + first),
                pictures=np.repeat(np.arange(count) + first, people),
                tracks=np.tile(np.arange(people), count),
                points_px=points,
                confidences=np.ones(points.shape[:2], np.float32),
                guesses_m=np.zeros((len(points), 33, 3), np.float32),
                regions=np.ones((len(points), 4)),
                soft_masks=np.zeros((len(points), 256, 256), np.uint8),
                colors=np.zeros((len(points), 2, 3), np.float32),
            )
        )
    return found


def steps(first: int = 0) -> np.ndarray:
    return np.repeat(np.arange(FRAMES)[:, None] + first, 3, axis=1)


def tracks(seen: list[Sightings], wanted: int | PersonAt, first: int = 0) -> list[int]:
    found = follow_one(CAMERAS, seen, [each.points_px for each in seen], steps(first), wanted)
    chosen = [set(each.tracks[rows[rows >= 0]].tolist()) for each, rows in zip(seen, found.rows, strict=True)]
    assert all(len(rows) == int(each.num_pictures) for each, rows in zip(seen, found.rows, strict=True))
    assert all(len(each) < 2 for each in chosen)
    return [next(iter(each), -1) for each in chosen]


def test_every_person_can_be_had() -> None:
    seen = filmed(((0, 1), (1, 0), (0, 1)))
    found = [tracks(seen, wanted) for wanted in (1, 2)]
    assert sorted(found) == [[0, 1, 0], [1, 0, 1]]
    for track in (0, 1):
        row = int(seen[1].table()[12, track])
        x, y = seen[1].points_px[row, 0].tolist()
        assert tracks(seen, PersonAt(camera="c1", picture=12, point_px=(x, y)))[1] == track


def test_a_camera_that_sees_somebody_else_has_nobody() -> None:
    seen = filmed(((0, 1), (1,), (0, 1)))
    assert sorted([tracks(seen, 1), tracks(seen, 2)]) == [[0, -1, 0], [1, 0, 1]]


def test_pictures_between_moments_belong_to_the_nearest() -> None:
    seen = filmed(((0, 1), (1, 0), (0, 1)))
    found = follow_one(CAMERAS, seen, [each.points_px for each in seen], steps()[::3])
    assert all((rows >= 0).all() for rows in found.rows)


def test_moments_without_a_picture() -> None:
    seen = filmed(((0, 1), (1, 0), (0, 1)), first=2)
    late = steps(2)
    late[:3, 1] = -1
    found = follow_one(CAMERAS, seen, [each.points_px for each in seen], late)
    assert (found.rows[0][2:] >= 0).all()
    assert (found.rows[0][:2] == -1).all(), "nobody was seen yet"
    assert found.num_people == 2
    assert found.agreement > 0.3


def test_videos_that_begin_apart_show_the_same_moments() -> None:
    """One video begins ten pictures early; everybody is found by their motion, in all cameras."""
    seen = [*filmed(((0, 1),) * 3, first=10)[:1], *filmed(((1, 0),) * 3)[1:]]
    points = [each.points_px for each in seen]
    times = [np.arange(int(each.num_pictures)) / 25 for each in seen]
    steps_found = first_moments(CAMERAS, seen, points, times)
    shown = steps_found[(steps_found >= 0).all(axis=1)]
    assert np.abs(shown[:, 0] - shown[:, 1] - 10).max() <= 1
    assert (shown[:, 1] == shown[:, 2]).all()


def test_one_video() -> None:
    seen = filmed(((0, 1), (1, 0), (0, 1)))[:1]
    found = follow_one(CAMERAS[:1], seen, [seen[0].points_px], steps()[:, :1])
    assert len(set(seen[0].tracks[found.rows[0]].tolist())) == 1
    assert np.isnan(found.agreement)


def test_nobody_like_that_is_said() -> None:
    seen = filmed(((0, 1), (1, 0), (0, 1)), first=2)
    points = [each.points_px for each in seen]
    with pytest.raises(ValueError, match=r"person 3: 2 people were found; choose one of them"):
        follow_one(CAMERAS, seen, points, steps(2), 3)
    with pytest.raises(ValueError, match=r"no such camera; there are c0, c1, c2"):
        follow_one(CAMERAS, seen, points, steps(2), PersonAt(camera="c9", picture=0, point_px=(1.0, 1.0)))
    with pytest.raises(ValueError, match=r"c1: nobody was found in picture 1; point at somebody in another"):
        follow_one(CAMERAS, seen, points, steps(2), PersonAt(camera="c1", picture=1, point_px=(1.0, 1.0)))


def test_words_for_people() -> None:
    assert wanted_person("2") == 2
    assert wanted_person("cam:01:120:540,80.5") == PersonAt(camera="cam:01", picture=120, point_px=(540.0, 80.5))
    for text in ("0", "", "-1", "main", "c1:3", "c1:x:1,2", "c1:3:1", "99999", "c1:3:nan,2"):
        with pytest.raises(ValueError, match=r"person: expected a number from 1, by size, or camera:picture:x,y"):
            wanted_person(text)
