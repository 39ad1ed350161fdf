"""What is kept, and when it is made anew."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from avatar.prepare.stored import Arrays, key_of, read_stored, stored


@dataclass(frozen=True)
class Config:
    """Something with a number."""

    number: float


def test_keys_tell_values_apart() -> None:
    values = [1, 1.5, "1", None, Config(1.0), Config(2.0), np.zeros(2), np.zeros(3), np.zeros(2, np.float32), [1, 2]]
    keys = [key_of(value) for value in values]
    assert len(set(keys)) == len(keys)
    assert key_of(Config(1.0), np.zeros(2)) == key_of(Config(1.0), np.zeros(2))
    assert key_of("a", "b") != key_of("ab")


def test_made_once_for_each_key(tmp_path: Path) -> None:
    path, calls = tmp_path / "stage" / "a.npz", 0

    def make() -> Arrays:
        nonlocal calls
        calls += 1
        return {"values": np.arange(calls), "words": np.array(["a", "b"])}

    for key, expected in (("one", 1), ("one", 1), ("two", 2), ("one", 3)):
        arrays = stored(path, key, make)
        assert arrays["values"].tolist() == list(range(expected))
        assert arrays["words"].tolist() == ["a", "b"]
    assert calls == 3


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: b"", lambda data: data[:-80] + b"x" * 80])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.npz"
    stored(path, "key", lambda: {"values": np.arange(1000)})
    path.write_bytes(damage(path.read_bytes()))
    assert read_stored(path, "key") is None
    assert len(stored(path, "key", lambda: {"values": np.arange(7)})["values"]) == 7


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "a.npz", "key", fail)
    assert not list(tmp_path.iterdir())
