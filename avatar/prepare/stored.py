"""What a stage found out, kept in a file until what it was found from changes."""

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from avatar.arrays import ArrayFileError, unpack_npz
from avatar.atomic import replacing

Arrays = dict[str, np.ndarray]

MAX_BYTES = 2**34
KEY = "made_for"


def key_of(*parts: object) -> str:
    """A digest of configs, numbers and words, in order: equal for equal ones."""

    def plain(value: object) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        if isinstance(value, np.ndarray):
            return [value.dtype.str, value.shape, sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
        return str(value)

    return sha256(json.dumps(parts, sort_keys=True, default=plain).encode()).hexdigest()


def stored(path: Path, key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays in ``path`` if they were made for ``key``; else they are made, and written whole or not at all."""
    kept = read_stored(path, key)
    if kept is not None:
        return kept
    arrays = make()
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **{KEY: np.array(key)})
    return arrays


def read_stored(path: Path, key: str) -> Arrays | None:
    """The arrays in ``path``, or None where there are none, damaged ones, or those of another key."""
    try:
        data = path.read_bytes()
        if str(unpack_npz(data, MAX_BYTES, [KEY]).get(KEY)) != key:
            return None
        arrays = unpack_npz(data, MAX_BYTES)
    except (FileNotFoundError, ArrayFileError):
        return None
    del arrays[KEY]
    return arrays
