"""Words of the command line that stand for values."""


def color(text: str) -> tuple[float, float, float]:
    """``black``, ``white`` or ``red,green,blue`` from 0 to 1, as sRGB. ValueError for anything else."""
    match text.split(","):
        case ["black"]:
            return 0.0, 0.0, 0.0
        case ["white"]:
            return 1.0, 1.0, 1.0
        case [red, green, blue]:
            try:
                return float(red), float(green), float(blue)
            except ValueError:
                pass
    raise ValueError(f"--background: expected black, white or three numbers such as 0.2,0.2,0.3, got {text!r}")


def time_steps(text: str) -> tuple[int, int | None]:
    """First time step and the one after the last of ``from:to``, either of which may be left out, or of a single one.

    ValueError for anything else.
    """
    try:
        match text.split(":"):
            case [single]:
                return int(single), int(single) + 1
            case [start, stop]:
                return int(start or 0), int(stop) if stop else None
    except ValueError:
        pass
    raise ValueError(f"--frames: expected from:to or a number, got {text!r}")
