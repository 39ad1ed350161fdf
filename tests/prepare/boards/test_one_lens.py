"""Boards of several cameras that one camera filmed."""

from dataclasses import replace

import numpy as np

from avatar.capture.calibration import Calibration
from avatar.prepare.boards import CameraCheck, LensFault, LensFit, one_lens

FAULT = LensFault(part="principal point", given=(533.0, 948.0), found=(558.0, 936.0), deviations=(1.0, 1.0))


def lens(name: str, focal_px: float, x: float, y: float) -> Calibration:
    return Calibration(
        name=name,
        intrinsics_px=np.array([[focal_px, 0, x], [0, focal_px, y], [0, 0, 1.0]]),
        camera_from_world=np.eye(4),
        distortion=np.zeros(5),
        size=(1920, 1088),
    )


def check(found: Calibration | None, name: str, *faults: LensFault) -> CameraCheck:
    fit = None
    if found is not None:
        fit = LensFit(camera=found, views=(), num_dropped=0, rms_px=0.1, held_out_px=0.1, deviations=np.zeros(9))
    return CameraCheck(name=name, num_views=7, given_px=0.5, refitted_px=0.1, fit=fit, faults=faults)


GIVEN = [lens("cam01", 1681, 533, 948), lens("cam02", 1674, 535, 964), lens("cam03", 1682, 514, 955)]


def test_one_lens_behind_many_names() -> None:
    """The figures are those of a published set, all of whose stills show the same room from the same place."""
    found = [
        lens("cam01", 1673.9, 558.2, 935.2),
        lens("cam02", 1673.2, 559.2, 936.9),
        lens("cam03", 1675, 559.2, 937.6),
    ]
    checks = [check(each, each.name, FAULT) for each in found]
    (sentence,) = one_lens(checks, GIVEN)
    assert sentence.startswith("The boards of cam01, cam02, cam03 show one and the same lens")
    other = lens("cam02", 1674, 541, 970)
    (sentence,) = one_lens([checks[0], check(other, "cam02", FAULT), checks[2]], GIVEN)
    assert "cam01, cam03 show" in sentence


def test_nothing_is_said_of_lenses_that_differ_or_are_given_alike() -> None:
    different = [check(lens(each.name, 1670, 500 + 20 * i, 950), each.name, FAULT) for i, each in enumerate(GIVEN)]
    assert one_lens(different, GIVEN) == []
    twins = [replace(GIVEN[0], name=name) for name in ("left", "right")]
    moved = [check(lens(each.name, 1690, 560, 940), each.name, FAULT) for each in twins]
    assert one_lens(moved, twins) == [], "two cameras that are calibrated alike may be wrong alike"


def test_nothing_is_said_where_the_calibration_is_right_or_boards_are_few() -> None:
    assert one_lens([check(each, each.name) for each in GIVEN], GIVEN) == []
    assert one_lens([check(None, each.name) for each in GIVEN], GIVEN) == []
