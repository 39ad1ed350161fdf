"""Boards in videos and folders of pictures, moment by moment."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import FilmConfig, parse_board, see_boards
from avatar.prepare.sources import find_sources

BOARD = parse_board("checkerboard:7x4:60")


def write_pictures(folder: Path, pictures: list[np.ndarray], numbers: list[int]) -> None:
    folder.mkdir(parents=True)
    for picture, number in zip(pictures, numbers, strict=True):
        cv2.imwrite(str(folder / f"p{number:03d}.png"), picture[..., ::-1])


def test_pictures_of_one_number_are_one_moment(tmp_path: Path, film: tuple[Calibration, list[np.ndarray]]):
    blank = np.full_like(film[1][0], 200)
    write_pictures(tmp_path / "a", [film[1][1], blank, film[1][2]], [10, 40, 70])
    write_pictures(tmp_path / "b", [blank, film[1][1]], [40, 70])
    counts = []
    first, second = see_boards(
        find_sources(tmp_path, rate_hz=1.0), BOARD, notify=lambda done, detail: counts.append((done, detail))
    )
    assert (first.name, first.size, first.num_pictures, second.num_pictures) == ("a", (480, 640), 3, 2)
    assert [view.moment for view in first.views] == [0, 2]
    assert [view.moment for view in second.views] == [2]
    assert first.times_s == (10, 70)
    assert counts[-1] == (3, "a 2, b 1")
    (short,) = see_boards(find_sources(tmp_path / "a", rate_hz=1.0), BOARD, FilmConfig(max_moments=1))
    assert short.num_pictures == 1


def test_videos_are_looked_at_at_a_rate(tmp_path: Path, film: tuple[Calibration, list[np.ndarray]]):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.height, stream.width, stream.pix_fmt = 480, 640, "yuv420p"
        for picture in [film[1][1]] * 9:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    (seen,) = see_boards(find_sources(tmp_path), BOARD, FilmConfig(rate_hz=2.0))
    assert seen.num_pictures == 5
    assert len(seen.views) == 5
    assert seen.times_s == pytest.approx((0, 0.5, 1, 1.5, 2))


def test_pictures_of_another_size_are_refused(tmp_path: Path):
    write_pictures(tmp_path / "a", [np.zeros((40, 50, 3), np.uint8), np.zeros((50, 40, 3), np.uint8)], [1, 2])
    with pytest.raises(ValueError, match="size"):
        see_boards(find_sources(tmp_path, rate_hz=1.0), BOARD)


@pytest.mark.parametrize(("rate_hz", "max_moments"), [(0.0, 1), (float("nan"), 1), (2.0, 0)])
def test_what_is_looked_at_is_checked(rate_hz: float, max_moments: int):
    with pytest.raises(ValueError, match=r"FilmConfig\.\w+: expected"):
        FilmConfig(rate_hz=rate_hz, max_moments=max_moments)
