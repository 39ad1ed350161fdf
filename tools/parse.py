"""Words of the command line that stand for values."""

NAMED_COLORS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}


def color(text: str) -> tuple[float, float, float]:
    """``black``, ``white`` or ``red,green,blue`` from 0 to 1, as sRGB. ValueError for anything else."""
    if text in NAMED_COLORS:
        return NAMED_COLORS[text]
    try:
        red, green, blue = map(float, text.split(","))
    except ValueError:
        expected = "black, white or three numbers such as 0.2,0.2,0.3"
        raise ValueError(f"--background: expected {expected}, got {text!r}") from None
    return red, green, blue


def time_steps(text: str) -> tuple[int, int | None]:
    """First time step and the one after the last of ``from:to``, either of which may be left out, or of a single one.

    ValueError for anything else.
    """
    start, colon, stop = text.partition(":")
    try:
        first = int(start) if start or not colon else 0
        last = int(stop) if stop else None
    except ValueError:
        raise ValueError(f"--frames: expected from:to or a number, got {text!r}") from None
    return first, last if colon else first + 1
