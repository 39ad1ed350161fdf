"""Clocks of cameras that film one board."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.prepare.boards import BoardFilm, corners_m, parse_board
from avatar.prepare.boards.clocks import on_one_clock, synchronise_boards

from .filming import HEIGHT, WIDTH, rigid, seen
from .test_rig_fit import ring

BOARD = parse_board("charuco:7x5:80:60")
RATE_HZ = 10.0


def test_a_late_camera_is_found_and_its_moments_are_set_right():
    cameras, middle = ring(), corners_m(BOARD).mean(axis=0)
    generator = np.random.default_rng(2)
    waves = generator.uniform(0.08, 0.4, (6, 3)), generator.uniform(0, 6, (6, 3))
    poses = []
    for moment in range(90):
        turn_and_place = np.sin(waves[0] * moment + waves[1]).mean(axis=1)
        pose = rigid(0.4 * turn_and_place[:3], (0, 0, 0))
        pose[:3, 3] = 0.5 * turn_and_place[3:] - pose[:3, :3] @ middle
        poses.append(pose)
    films = []
    for index, each in enumerate(cameras):
        views, late = seen(each, BOARD, poses, seed=index), 7 * (index == 2)
        views = [replace(view, moment=view.moment - late) for view in views if view.moment >= late]
        times_s = tuple(view.moment / RATE_HZ for view in views)
        films.append(
            BoardFilm(name=each.name, size=(HEIGHT, WIDTH), num_pictures=90, views=tuple(views), times_s=times_s)
        )
    found = synchronise_boards(cameras, films, BOARD)
    np.testing.assert_allclose(found.offsets_s, [0, 0, 0.7], atol=1e-9)
    assert found.confidences.min() > 0.1
    late = on_one_clock(films, found.offsets_s)[2]
    for view, before in zip(late.views, films[2].views, strict=True):
        assert view.moment == before.moment + 7


def test_a_film_without_the_board_is_named():
    film = BoardFilm(name="a", size=(HEIGHT, WIDTH), num_pictures=9, views=(), times_s=())
    with pytest.raises(ValueError, match=r"^a: the board is seen too seldom"):
        synchronise_boards(ring(1), [film], BOARD)
