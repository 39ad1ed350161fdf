"""Videos of another size than their calibration."""

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.letterbox import fit_to_video


def calibration(size: tuple[int, int] | None) -> Calibration:
    return Calibration(
        name="cam01",
        intrinsics_px=np.array([[1674.0, 0, 544.0], [0, 1674.0, 960.0], [0, 0, 1]]),
        camera_from_world=np.eye(4),
        distortion=np.zeros(5),
        size=size,
    )


def video(height: int, width: int, bar: int = 0, side: int = 0) -> list[np.ndarray]:
    pictures = [np.full((height, width, 3), 16, np.uint8) for _ in range(2)]
    pictures[1][bar : height - bar, side : width - side] = 130
    return pictures


def test_the_same_size_is_left_alone() -> None:
    given = calibration((1920, 1088))
    found = fit_to_video(given, video(1920, 1088))
    assert (found.scale, found.left_px, found.top_px) == (1, 0, 0)
    np.testing.assert_array_equal(found.apply(given, (1920, 1088)).intrinsics_px, given.intrinsics_px)
    assert fit_to_video(calibration(None), video(50, 40)).scale == 1, "no size is the video's"


def test_a_smaller_picture_between_bars() -> None:
    """1088 x 1920 shrunk to a width of 1080: bars of 7.06 rows above and below."""
    given = calibration((1920, 1088))
    found = fit_to_video(given, video(1920, 1080, bar=7))
    assert found.scale == pytest.approx(1080 / 1088)
    assert (found.left_px, found.top_px) == (0, pytest.approx(7.0588, abs=1e-3))
    fitted = found.apply(given, (1920, 1080))
    assert fitted.size == (1920, 1080)
    assert fitted.intrinsics_px[1, 2] == pytest.approx(960), "the middle stays the middle"
    assert fitted.intrinsics_px[0, 2] == pytest.approx(540)
    assert fitted.intrinsics_px[0, 0] == pytest.approx(1674 * 1080 / 1088)
    assert "scaled by 0.99265" in str(found)


def test_bars_that_the_codec_smeared() -> None:
    """As in a real video: the picture's last rows ring into the bar, and single blocks of it are bright for a while."""
    pictures = [*video(1920, 1080, bar=7), *video(1920, 1080, bar=7)]
    for i, picture in enumerate(pictures):
        picture[1913], picture[1915, 64 * i : 64 * i + 64] = 60, 90
    assert fit_to_video(calibration((1920, 1088)), pictures).top_px == pytest.approx(7.0588, abs=1e-3)


def test_half_the_size_and_bars_at_the_sides() -> None:
    found = fit_to_video(calibration((1920, 1088)), video(960, 544))
    assert (found.scale, found.left_px, found.top_px) == (0.5, 0, 0)
    found = fit_to_video(calibration((400, 400)), video(200, 300, side=50))
    assert (found.scale, found.left_px, found.top_px) == (0.5, 50, 0)


def test_a_cropped_video_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cam01: its video has 1920 x 1080 pixels .*1920 x 1088.* no black bars"):
        fit_to_video(calibration((1920, 1088)), video(1920, 1080))
