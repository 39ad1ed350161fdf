"""What is seen of people, as rows."""

import numpy as np

from avatar.prepare import Sightings, find_people
from avatar.prepare.sightings import clothes_colors

from .paint import COLORS, LAYOUT, Painted, paint


def two() -> Sightings:
    return find_people((paint([(0, 40 + 2 * i, 60), (1, 160 + 2 * i, 50)]) for i in range(6)), Painted())


def test_rows_have_a_table() -> None:
    seen = two()
    table = seen.table()
    assert table.shape == (6, 2)
    assert (seen.tracks[table] == [0, 1]).all()
    assert (seen.pictures[table] == np.arange(6)[:, None]).all()
    np.testing.assert_allclose(seen.heights_px()[table[:, 0]], 60 * np.ptp(LAYOUT[:, 1]), atol=1)


def test_who_is_missed_is_where_they_were_before_and_after() -> None:
    frames = [[(0, 40 + 2 * i, 60), *([] if 2 <= i < 4 else [(1, 160 + 2 * i, 50)])] for i in range(6)]
    seen = find_people(map(paint, frames), Painted())
    table = seen.table()
    assert table[3, 1] == -1
    assert seen.around(3) == [table[3, 0], table[1, 1], table[4, 1]]
    assert seen.around(5) == table[5].tolist()


def test_arrays_and_back() -> None:
    seen = two()
    again = Sightings.of_arrays(seen.arrays())
    assert all(np.array_equal(value, again.arrays()[name], equal_nan=True) for name, value in seen.arrays().items())


def test_one_person_by_picture() -> None:
    seen = two()
    rows = seen.table()[:, 1].copy()
    rows[2] = -1
    found = seen.followed(rows)
    assert np.isnan(found["points_px"][2]).all()
    assert np.isnan(found["guesses_m"][2]).all()
    assert not found["confidences"][2].any()
    np.testing.assert_array_equal(found["points_px"][3], seen.points_px[rows[3]])


def test_a_mask_lies_on_the_person() -> None:
    seen, picture = two(), paint([(0, 40, 60), (1, 160, 50)])
    is_there = (picture == COLORS[1]).all(axis=2)
    is_found = seen.mask(int(seen.table()[0, 1]), picture.shape[:2]) > 0.5
    assert (is_found & is_there).sum() / (is_found | is_there).sum() > 0.95


def test_clothes_have_their_colors() -> None:
    picture = paint([(2, 100, 80)])
    points = LAYOUT * (40, 80) + (80, 20)
    assert (clothes_colors(picture, points) == COLORS[2]).all()
    assert np.isnan(clothes_colors(picture, points + 1000)).all()
    half = points - (points[:, :1].mean(), 0)  # one half is left of the picture
    assert not np.isnan(clothes_colors(picture, half)).any()
