"""Straight edges of a scene against the distortion that a calibration gives."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.prepare.straight_edges import check_edges, doubt_distortion, find_edges

HEIGHT, WIDTH, AROUND = 540, 720, 90
TRUE = np.array([-0.2, 0.06, 0.001, -0.001, 0.0])


def calibration(distortion: np.ndarray, name: str = "cam01") -> Calibration:
    return Calibration(
        name=name,
        intrinsics_px=np.array([[600.0, 0, 362.0], [0, 600.0, 268.0], [0, 0, 1]]),
        camera_from_world=np.eye(4),
        distortion=distortion,
        size=(HEIGHT, WIDTH),
    )


def scene(seed: int) -> np.ndarray:
    """A room of boards and round things, as a pinhole sees it, with more around than the picture shows."""
    random, sharp, size = np.random.default_rng(seed), 4, (WIDTH + 2 * AROUND, HEIGHT + 2 * AROUND)
    picture = np.full((size[1] * sharp, size[0] * sharp, 3), 120, np.uint8)
    for i in range(36):
        middle, turn = random.uniform((0, 0), size) * sharp, random.uniform(0, np.pi)
        sides, grey = random.uniform(60, 400, 2) * sharp, (int(random.integers(40, 240)),) * 3
        if i % 4 == 0:
            cv2.ellipse(picture, (middle.tolist(), (sides / 2).tolist(), float(np.degrees(turn))), grey, -1)
        else:
            corners = cv2.boxPoints((middle.tolist(), sides.tolist(), float(np.degrees(turn))))
            cv2.fillPoly(picture, [corners.round().astype(np.int32)], grey)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def filmed(seed: int, distortion: np.ndarray) -> np.ndarray:
    """The scene through a lens, with noise."""
    lens = calibration(distortion)
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).reshape(-1, 1, 2).astype(np.float64)
    intrinsics = lens.intrinsics_px - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    straight = cv2.undistortPoints(pixels, intrinsics, distortion, P=intrinsics)
    where = (straight.reshape(HEIGHT, WIDTH, 2) + AROUND).astype(np.float32)
    picture = cv2.remap(scene(seed), where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    noise = np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def plates() -> list[np.ndarray]:
    return [filmed(seed, TRUE) for seed in range(3)]


def test_the_right_distortion_is_confirmed(plates: list[np.ndarray]) -> None:
    checks = [check_edges(plate, calibration(TRUE)) for plate in plates]
    for check in checks:
        assert check.num_edges >= 20
        assert check.share.value == pytest.approx(1, abs=4 * check.share.deviation)
        assert check.share.deviation < 0.1
        assert check.radial.value == pytest.approx(0, abs=0.02)
    assert doubt_distortion(checks) == []


def test_a_lens_without_distortion_is_let_be() -> None:
    none = np.zeros(5)
    checks = [check_edges(filmed(seed, none), calibration(none)) for seed in range(3)]
    assert all(np.isnan(check.share.value) for check in checks)
    assert doubt_distortion(checks) == []


def test_no_distortion_where_there_is_some(plates: list[np.ndarray]) -> None:
    check = check_edges(plates[0], calibration(np.zeros(5)))
    (doubt,) = doubt_distortion([check])
    assert "cam01: straight edges of the scene are bent; k1 seems wrong by -0." in doubt
    assert check.radial.value == pytest.approx(TRUE[0], abs=0.05)


@pytest.mark.parametrize(("factor", "share"), [(-1.0, "-1"), (1 / 8, "[78]"), (2.0, "0.[56]")])
def test_a_wrong_unit_or_sign_is_told_of_the_whole_calibration(
    plates: list[np.ndarray], factor: float, share: str
) -> None:
    """As of a converter that divides coefficients that have no unit, or of a program with another sign."""
    checks = [check_edges(plate, calibration(factor * TRUE)) for plate in plates]
    (doubt,) = doubt_distortion(checks)
    assert doubt.startswith("All cameras: ")
    assert re.search(f"ask for {share}", doubt)


def test_one_wrong_camera_among_right_ones(plates: list[np.ndarray]) -> None:
    right = [check_edges(plate, calibration(TRUE, f"cam0{i}")) for i, plate in enumerate(plates[:2])]
    wrong = check_edges(plates[2], calibration(np.array([0.0, 0.06, 0.001, -0.001, 0.0]), "cam03"))
    (doubt,) = doubt_distortion([*right, wrong])
    assert doubt.startswith("cam03: ")


def test_what_is_not_the_scene_has_no_edges(plates: list[np.ndarray]) -> None:
    """Black bars are straight whatever the lens does, and so is the rim of what was never seen."""
    barred = plates[0].copy()
    barred[:40], barred[-40:] = 16, 16
    rows = np.concatenate([edge[:, 1] for edge in find_edges(barred)])
    assert rows.min() > 50
    assert rows.max() < HEIGHT - 50
    is_known = np.ones((HEIGHT, WIDTH), bool)
    is_known[:, 300:400] = False
    hidden = plates[0] * is_known[..., None].astype(np.uint8)
    columns = np.concatenate([edge[:, 0] for edge in find_edges(hidden, is_known)])
    assert not ((columns > 290) & (columns < 410)).any()


def test_too_few_edges_and_fisheyes_say_nothing(plates: list[np.ndarray]) -> None:
    empty = check_edges(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), calibration(TRUE))
    assert (empty.num_edges, np.isnan(empty.share.value), np.isnan(empty.radial.value)) == (0, True, True)
    fisheye = replace(calibration(TRUE[:4]), is_fisheye=True)
    assert check_edges(plates[0], fisheye).num_edges == 0
    assert doubt_distortion([empty, check_edges(plates[0], fisheye)]) == []
