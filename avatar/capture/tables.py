"""Take what is expected, and nothing else, out of tables that somebody else wrote."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .errors import CaptureError

MAX_DEPTH = 4
LARGEST = 1e6
NEEDS = "fit the body again or restore the file"


def table(value: object, where: Path, what: str) -> dict[str, object]:
    """``value`` when it is a dictionary."""
    if not isinstance(value, dict):
        raise CaptureError(where, f"{what}: expected a dictionary, got {type(value).__name__}")
    return value


def sequence(value: object, where: Path, what: str, length: int | None = None) -> list[object]:
    """``value`` as a list, of ``length`` where that is given."""
    if not isinstance(value, list | tuple | np.ndarray) or (isinstance(value, np.ndarray) and value.ndim == 0):
        raise CaptureError(where, f"{what}: expected a list, got {type(value).__name__}")
    if length is not None and len(value) != length:
        raise CaptureError(where, f"{what}: expected {length} entries, got {len(value)}")
    return list(value)


def field(values: Mapping[str, object], key: str, where: Path, what: str) -> object:
    """``values[key]``; CaptureError says what is missing."""
    if key not in values:
        raise CaptureError(where, f"{what} has no {key!r}; add it")
    return values[key]


def text(value: object, where: Path, what: str) -> str:
    """``value`` when it is printable text of at most 1024 characters."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 1024:
        found = repr(value[:60]) if isinstance(value, str) else type(value).__name__
        raise CaptureError(where, f"{what}: expected printable text, got {found}")
    return str(value)


def integer(value: object, where: Path, what: str, low: int, high: int) -> int:
    """``value`` when it is a whole number in ``[low, high]``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not low <= value <= high:
        raise CaptureError(where, f"{what}: expected a whole number from {low} to {high}, got {str(value)[:40]!r}")
    return int(value)


def floats(value: object, shape: tuple[int, ...], where: Path, what: str) -> np.ndarray:
    """The ``prod(shape)`` finite numbers in ``value``, nested in any way, as float64 of ``shape``."""
    count = math.prod(shape)
    numbers: list[float] = []
    try:
        for number in _leaves(value, count, 0):
            numbers.append(number)
            if len(numbers) > count:
                break
    except (TypeError, OverflowError) as error:
        raise CaptureError(where, f"{what}: expected {count} numbers ({error})") from error
    if len(numbers) != count:
        raise CaptureError(where, f"{what}: expected {count} numbers, got {min(len(numbers), count + 1)} or more")
    result = np.array(numbers, np.float64).reshape(shape)
    if not np.isfinite(result).all():
        raise CaptureError(where, f"{what}: expected finite numbers, got NaN or infinity; calibrate again")
    return result


def numbers(values: Mapping[str, object], key: str, shape: tuple[int | None, ...], where: Path) -> np.ndarray:
    """The array ``values[key]`` as float64 when it is of ``shape``, where None is any length but zero.

    CaptureError for what is missing, of another shape or type, and for a number that is none or huge.
    """
    array = field(values, key, where, "the file")
    found = f"{array.dtype} of {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not _fits(array.shape, shape):
        wanted = tuple(length or "any" for length in shape)
        raise CaptureError(where, f"{key}: expected numbers of shape {wanted}, got {found}; {NEEDS}")
    result = array.astype(np.float64)
    if (place := first_place(~(np.abs(result) < LARGEST))) is not None:
        wanted = f"a finite number below {LARGEST:g} in size"
        raise CaptureError(where, f"{key}{place}: expected {wanted}, got {array[tuple(place)]}; {NEEDS}")
    return result


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(n == m if m else n > 0 for n, m in zip(found, wanted, strict=True))


def first_place(is_wrong: np.ndarray) -> list[int] | None:
    """The index of the first true entry, or None."""
    places = np.argwhere(is_wrong)
    return places[0].tolist() if len(places) else None


def _leaves(value: object, count: int, depth: int) -> Iterator[float]:
    """The numbers in nested lists and arrays, in order; shared or endless nesting ends in TypeError."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        yield float(value)
        return
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"got {type(value).__name__}")
    items = value.ravel() if isinstance(value, np.ndarray) else value
    if depth >= MAX_DEPTH or len(items) > count:
        raise TypeError("got more, or deeper nested")
    for item in items:
        yield from _leaves(item, count, depth + 1)
