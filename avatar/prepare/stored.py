"""What a stage found out, kept in a file until what it was found from changes."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from avatar.arrays import ArrayFileError, unpack_npz
from avatar.atomic import replacing

Arrays = dict[str, np.ndarray]
T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_BYTES = 2**34
KEY = "made_for"
FORMAT = 2  # of what stages keep, and how they come to it; another number makes everything anew


def key_of(*parts: object) -> str:
    """A digest of configs, numbers and words, in order, and of ``FORMAT``: equal for equal ones."""

    def plain(value: object) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        if isinstance(value, np.ndarray):
            return [value.dtype.str, value.shape, sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
        return str(value)

    return sha256(json.dumps([FORMAT, *parts], sort_keys=True, default=plain).encode()).hexdigest()


def stored(path: Path, key: str, make: Callable[[], Arrays], parse: Callable[[Arrays], T]) -> T:
    """What ``parse`` takes the arrays in ``path`` for, if they were made for ``key``.

    Else, and where it does not know them, they are made, and written whole or not at all.
    """
    kept = _read(path, key)
    if kept is not None:
        try:
            return parse(kept)
        except (TypeError, KeyError, ValueError):
            logger.info("%s: is of another shape; made anew", path)
    arrays = make()
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **{KEY: np.array(key)})
    return parse(arrays)


def _read(path: Path, key: str) -> Arrays | None:
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
