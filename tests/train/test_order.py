"""The order of pictures and tasks."""

from avatar.train.order import shuffled


def test_each_comes_once_an_epoch_in_an_order_that_changes() -> None:
    epochs = [[shuffled(place, 7, 3) for place in range(first, first + 7)] for first in range(0, 35, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_seed_fixes_it() -> None:
    orders = [[shuffled(place, 20, seed) for place in range(20)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
