"""The doors of motion files: bounded in size, of finite numbers, and told in one line what is wrong with them."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

MAX_BYTES = 64 * 2**20
MAX_UNPACKED = 256 * 2**20
MAX_JOINTS = 1000
MAX_TURNS = 2_000_000
MAX_NAME = 80
MAX_NUMBER = 1e6
MAX_MESSAGE = 400
RATES_HZ = (1.0, 1000.0)


class MotionError(ValueError):
    """A motion file is broken. The message is one line: the file, and what is wrong."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(printable(" ".join(f"{file}: {problem}".split()), MAX_MESSAGE))


def printable(text: str, most: int = MAX_NAME) -> str:
    """The beginning of a text out of a file, without what would move a terminal's cursor or colour it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])


def checked_size(name: str, frames: int, joints: int) -> None:
    """MotionError when a clip would be too large to hold."""
    if not 0 < joints <= MAX_JOINTS:
        raise MotionError(name, f"has {joints} joints; from 1 to {MAX_JOINTS} are read")
    if not 0 < frames * joints <= MAX_TURNS:
        raise MotionError(name, f"has {frames} frames of {joints} joints; at most {MAX_TURNS} turns are read: cut it")


def checked_rate(name: str, rate_hz: float) -> float:
    """The frame rate; MotionError when no motion has it."""
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise MotionError(name, f"expected a frame rate from {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz, got {rate_hz:g}")
    return rate_hz


def whole_rate(rate_hz: float) -> float:
    """The whole number that a rate is within half a percent of, or else the rate: files round their intervals."""
    nearest = max(1, round(rate_hz))
    return float(nearest) if abs(rate_hz / nearest - 1) < 0.005 else rate_hz


def number(name: str, word: str) -> float:
    """One finite number of ordinary size, with a point where it has decimals."""
    return float(numbers(name, [word])[0])


def numbers(name: str, words: Sequence[str]) -> Float[np.ndarray, " n"]:
    """Finite numbers of ordinary size."""
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise MotionError(name, f"expected a number such as 0.5, got {str(error).partition(': ')[2][:40]}") from error
    return finite(name, values)


def finite(name: str, values: np.ndarray) -> np.ndarray:
    """The same numbers; MotionError when one is not finite or beyond all bodies and stages."""
    is_fine = np.abs(values) < MAX_NUMBER
    if not is_fine.all():
        worst = float(values[~is_fine].flat[0])
        shown = f"{worst:g}" if math.isfinite(worst) else str(worst)
        raise MotionError(name, f"expected finite numbers below {MAX_NUMBER:g} in size, got {shown}")
    return values
