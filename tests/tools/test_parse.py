"""Words of the command line as values."""

import pytest

from tools.parse import color, time_steps


def test_colors():
    assert color("white") == (1.0, 1.0, 1.0)
    assert color("0.1,.2,1") == (0.1, 0.2, 1.0)
    for text in ("red", "1,1", "1,1,1,1", "a,b,c", ""):
        with pytest.raises(ValueError, match="expected black, white or three numbers"):
            color(text)


def test_time_steps():
    assert [time_steps(text) for text in ("3:7", "3:", ":7", ":", "3")] == [
        (3, 7),
        (3, None),
        (0, 7),
        (0, None),
        (3, 4),
    ]
    for text in ("", "x", "1:2:3", "a:b"):
        with pytest.raises(ValueError, match="expected from:to or a number"):
            time_steps(text)
