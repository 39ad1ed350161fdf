"""What is kept, and when it is made anew."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from avatar.prepare.stored import Arrays, key_of, stored


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
        arrays = stored(path, key, make, dict)
        assert arrays["values"].tolist() == list(range(expected))
        assert arrays["words"].tolist() == ["a", "b"]
    assert calls == 3


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: b"", lambda data: data[:-80] + b"x" * 80])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.npz"
    stored(path, "key", lambda: {"values": np.arange(1000)}, dict)
    path.write_bytes(damage(path.read_bytes()))
    assert len(stored(path, "key", lambda: {"values": np.arange(7)}, dict)["values"]) == 7


class Parsed:
    """Something with two values."""

    def __init__(self, *, one: np.ndarray, two: np.ndarray) -> None:
        self.one, self.two = one, two

    @staticmethod
    def of(arrays: Arrays) -> "Parsed":
        return Parsed(**arrays)


@pytest.mark.parametrize("names", [("one",), ("one", "two", "three"), ()])
def test_what_has_another_shape_is_made_anew(tmp_path: Path, names: tuple[str, ...]) -> None:
    """As other versions left it."""
    path = tmp_path / "a.npz"
    stored(path, "key", lambda: {name: np.arange(3) for name in names}, dict)
    new = stored(path, "key", lambda: {"one": np.arange(4), "two": np.arange(5)}, Parsed.of)
    kept = stored(path, "key", lambda: {}, Parsed.of)
    assert len(new.one) == len(kept.one) == 4


def test_what_parses_no_more_when_new_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="two"):
        stored(tmp_path / "a.npz", "key", lambda: {"one": np.arange(3)}, Parsed.of)


def test_another_version_makes_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of("stage", 1)
    monkeypatch.setattr("avatar.prepare.stored.FORMAT", -1)
    assert key_of("stage", 1) != before


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "a.npz", "key", fail, dict)
    assert not list(tmp_path.iterdir())
