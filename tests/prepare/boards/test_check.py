"""Faults planted into calibrations are found and named, and no others."""

import re
from dataclasses import replace

import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import CameraCheck, check_calibration, check_views, parse_board

from .filming import HEIGHT, WIDTH, camera, seen, waved

BOARD = parse_board("checkerboard:7x4:60")
SIZE = HEIGHT, WIDTH
VIEWS = seen(camera(), BOARD, waved(BOARD, 14, seed=5))


def checked(calibration: Calibration) -> CameraCheck:
    return check_views(calibration, SIZE, VIEWS, BOARD)


def test_a_right_lens_is_right():
    check = checked(camera())
    assert check.faults == ()
    assert check.given_px == pytest.approx(check.refitted_px, rel=0.02)
    assert check.sentences[0].startswith("a: the lens is right")


@pytest.mark.parametrize(
    ("part", "wrong", "word"),
    [
        ("principal point", camera(principal_px=(343.0, 220.0)), r"wrong by \(-1[12]\.\d, \+[789]\.\d\) px"),
        ("focal length", camera(focal_px=640.0), r"wrong by -3\.\d+ %"),
        ("distortion", camera(distortion=(0,) * 5), r"distortion is wrong"),
    ],
)
def test_one_wrong_part_is_named(part: str, wrong: Calibration, word: str):
    check = checked(wrong)
    assert [fault.part for fault in check.faults] == [part]
    assert check.given_px > 1.5 * check.refitted_px
    assert np.all(
        [word_found is not None for word_found in [pytest.importorskip("re").search(word, check.sentences[0])]]
    )


def test_two_wrong_parts_are_both_named():
    check = checked(camera(principal_px=(343.0, 220.0), distortion=(0.1, 0, 0, 0, 0)))
    assert {fault.part for fault in check.faults} == {"principal point", "distortion"}


def test_a_calibration_for_pictures_of_twice_the_size_is_named():
    lens = camera()
    check = checked(replace(lens, intrinsics_px=np.diag([2.0, 2.0, 1.0]) @ lens.intrinsics_px, size=None))
    assert [fault.part for fault in check.faults] == ["picture size"]
    assert re.search(r"12(79|8[01]) x 9(59|6[01])", check.sentences[0])
    check = checked(replace(lens, size=(HEIGHT + 8, WIDTH)))
    assert [fault.part for fault in check.faults] == ["picture size"]
    assert "640 x 488" in check.sentences[0]


def test_pictures_are_looked_at(film: tuple[Calibration, list[np.ndarray]]):
    lens, pictures = film
    (check,) = check_calibration([replace(lens, distortion=np.zeros(5)), camera("b")], {"a": iter(pictures)}, BOARD)
    assert check.name == "a"
    assert check.num_views >= 8
    assert [fault.part for fault in check.faults] == ["distortion"]


def test_too_few_views_are_no_verdict():
    check = check_views(camera(), SIZE, VIEWS[:2], BOARD)
    assert check.fit is None
    assert "too few" in check.sentences[0]


def test_pictures_of_nobody_are_refused():
    with pytest.raises(ValueError, match=r"cameras a; got 'z'"):
        check_calibration([camera()], {"z": []}, BOARD)
    mixed = [np.zeros((40, 50, 3), np.uint8), np.zeros((50, 40, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"several sizes"):
        check_calibration([camera()], {"a": mixed}, BOARD)
