"""Splits of pictures, some of which are not there."""

import numpy as np
import pytest

from avatar.prepare.capture_files import held_out, make_splits

from .rig import ring


def test_splits_of_a_whole_capture() -> None:
    splits = make_splits(np.ones((20, 4), bool), 2)
    train, view, time = (splits[name] for name in ("train_dense", "test_novel_view", "test_novel_time"))
    assert train.camera_ids == time.camera_ids == (0, 1, 3)
    assert view.camera_ids == (2,)
    assert train.frame_ids == view.frame_ids
    assert time.frame_ids == (4, 9, 14, 19)
    assert not set(train.frame_ids) & set(time.frame_ids)
    assert splits["train_all"].camera_ids == (0, 1, 2, 3)
    assert len(splits["train_all"].frame_ids) == 20


def test_all_that_splits_name_exists() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        exists = generator.random((12, 5)) < generator.random()
        if not exists.any():
            continue
        for split in make_splits(exists, 1).values():
            assert all(exists[pair] for pair in split.pairs())


def test_a_poor_camera_does_not_spoil_the_rest() -> None:
    exists = np.ones((20, 3), bool)
    exists[3:, 2] = False
    train = make_splits(exists, None)["train_dense"]
    assert train.camera_ids == (0, 1)
    assert len(train.frame_ids) == 16


def test_nothing_at_all() -> None:
    with pytest.raises(ValueError, match="no time step has a picture"):
        make_splits(np.zeros((5, 2), bool), None)


def test_the_camera_with_the_nearest_neighbour_is_held_out() -> None:
    cameras = ring(12)
    exists = np.ones((10, 4), bool)
    assert held_out([cameras[i] for i in (0, 4, 7, 8)], exists) in (2, 3)
    assert held_out(cameras[:3], exists[:, :3]) is None
    exists[5:, 2:] = False
    assert held_out([cameras[i] for i in (0, 4, 7, 8)], exists) is None, "two cameras that see well are not enough"
