"""Masks of a figure on a scene, where the truth is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.prepare import MaskConfig, clean_plate, foreground
from avatar.prepare.masks import guided_filter

HEIGHT, WIDTH = 160, 120


def iou(left: np.ndarray, right: np.ndarray) -> float:
    return (left & right).sum() / (left | right).sum()


def scene(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)


def film(count: int, step: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Pictures, true masks and soft masks of a red figure that walks ``step`` pixels a frame; the last are blurred."""
    random, pictures, masks, soft = np.random.default_rng(1), [], [], []
    for i in range(count):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, (30 + step * i, 80), (12, 60), 0, 0, 360, 1, -1)
        picture = np.where(mask[..., None] > 0, np.array([220, 20, 30]), scene(0))
        pictures.append(np.clip(picture + random.normal(0, 3, picture.shape), 0, 255).astype(np.uint8))
        masks.append(mask > 0)
        coarse = cv2.resize(mask * 255, (WIDTH // 10, HEIGHT // 10), interpolation=cv2.INTER_AREA)
        soft.append(cv2.resize(coarse, (WIDTH, HEIGHT)).astype(np.float32) / 255)
    return pictures, masks, soft


def test_the_plate_is_the_scene() -> None:
    pictures, _, soft = film(9, 7)
    plate = clean_plate(pictures, soft)
    assert plate.is_known.all(), "who walks leaves every place free three times"
    assert np.abs(plate.picture.astype(int) - scene(0)).mean() < 2
    assert plate.unrest < 0.001


def test_what_was_never_free_is_not_known() -> None:
    pictures, masks, soft = film(9, 0)
    plate = clean_plate(pictures, soft)
    assert not plate.is_known[masks[0]].any()
    assert plate.is_known[:, 70:].all()
    assert not plate.picture[masks[0]].any()


def test_a_moving_camera_is_noticed() -> None:
    pictures, _, soft = film(9, 7)
    turned = [np.roll(picture, 9 * i, axis=1) for i, picture in enumerate(pictures)]
    assert clean_plate(turned, soft).unrest > 0.3


def test_plate_and_edges_each_improve_the_soft_mask() -> None:
    pictures, masks, soft = film(9, 7)
    plate, plain = clean_plate(pictures, soft), MaskConfig(edge_radius=0.0)
    rough = iou(soft[4] > 0.5, masks[4])
    by_edges = iou(foreground(pictures[4], soft[4]).is_foreground, masks[4])
    by_plate = iou(foreground(pictures[4], soft[4], plate, plain).is_foreground, masks[4])
    assert rough < 0.94
    assert by_edges > rough + 0.02
    assert by_plate > rough + 0.02


def test_disagreement_is_a_share() -> None:
    pictures, masks, soft = film(9, 7)
    plate = clean_plate(pictures, soft)
    agreed = foreground(pictures[4], masks[4].astype(np.float32), plate).disagreement
    assert agreed is not None
    assert agreed < 0.05
    half = masks[4].copy()
    half[80:] = False
    found = foreground(pictures[4], half.astype(np.float32), plate, MaskConfig(reach=0.9)).disagreement
    assert found == pytest.approx(1, abs=0.15), "as many pixels by one alone as by both"
    assert foreground(pictures[4], soft[4]).disagreement is None


def test_a_bystander_is_left_out() -> None:
    """Another moving thing, away from the soft mask."""
    pictures, _, soft = film(9, 7)
    plate = clean_plate(pictures, soft)
    pictures[0][60:100, 95:110] = (20, 30, 250)
    assert not foreground(pictures[0], soft[0], plate).is_foreground[:, 80:].any()


def test_a_bystander_who_touches_is_left_out() -> None:
    """Both differ from the empty scene, at the same side of which they stand; only their soft masks tell them apart."""
    pictures, masks, soft = film(9, 7)
    plate = clean_plate(pictures, soft)
    bystander = np.roll(masks[4], 22, axis=1) & ~masks[4]
    pictures[4][bystander] = (225, 40, 60)
    coarse = cv2.resize(bystander.astype(np.float32), (WIDTH // 10, HEIGHT // 10), interpolation=cv2.INTER_AREA)
    other = cv2.resize(coarse, (WIDTH, HEIGHT))
    leaky = np.clip(soft[4] + 0.4 * other, 0, 1)  # the landmarker is not quite sure either
    alone = foreground(pictures[4], leaky, plate).is_foreground
    assert (alone & bystander).sum() > 0.5 * bystander.sum()
    told = foreground(pictures[4], leaky, plate, others=other)
    assert (told.is_foreground & bystander).sum() < 0.1 * bystander.sum()
    assert iou(told.is_foreground, masks[4]) > 0.9
    assert told.disagreement is not None
    assert told.disagreement < 0.3


def test_others_far_away_do_not_matter() -> None:
    pictures, _, soft = film(9, 7)
    plate = clean_plate(pictures, soft)
    far = np.zeros_like(soft[0])
    far[:, 100:] = 1.0
    for known in (plate, None):
        alone, told = foreground(pictures[0], soft[0], known), foreground(pictures[0], soft[0], known, others=far)
        assert iou(alone.is_foreground, told.is_foreground) > 0.99


def test_nobody_makes_an_empty_mask() -> None:
    pictures, _, soft = film(1, 0)
    found = foreground(pictures[0], np.zeros_like(soft[0]))
    assert not found.is_foreground.any()
    assert found.disagreement is None
    assert clean_plate(pictures * 3, [np.zeros_like(soft[0])] * 3).is_known.all()


def test_the_guided_filter_keeps_what_is_linear_in_the_guide() -> None:
    guide = scene(3).astype(np.float32) / 255
    values = guide @ np.array([0.5, -0.2, 0.3], np.float32) + np.float32(0.1)
    np.testing.assert_allclose(guided_filter(guide, values, 4, 1e-6), values, atol=2e-3)
    np.testing.assert_allclose(guided_filter(guide, np.full_like(values, 0.7), 4, 1e-3), 0.7, atol=1e-5)


def test_configs_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match=r"MaskConfig\.edge_radius: expected 0 <= share < 1, got 2"):
        MaskConfig(edge_radius=2.0)
    with pytest.raises(ValueError, match=r"MaskConfig\.reach: expected more than 0"):
        MaskConfig(reach=0.0)


def test_the_plate_of_a_real_scene(shared: Path) -> None:
    """The scene behind a man who moves about, against one taken without him; his soft mask is the true one, blurred."""
    root = shared / "balance4"
    pictures, soft = [], []
    for frame in range(0, 50, 4):
        picture, mask = (
            cv2.imread(str(root / name / f"Camera_B3/{frame:06d}.{suffix}"))
            for name, suffix in ((".", "jpg"), ("mask_cihp", "png"))
        )
        assert picture is not None
        assert mask is not None
        pictures.append(picture)
        soft.append(cv2.blur(mask[..., 0].astype(np.float32) / 255, (7, 7)))
    empty = cv2.imread(str(root / "background/Camera_B3.jpg"))
    assert empty is not None
    plate = clean_plate(pictures, soft)
    errors = np.abs(plate.picture.astype(int) - empty).max(axis=-1)[plate.is_known]
    assert plate.is_known.mean() > 0.98
    assert np.quantile(errors, 0.99) < 15
    assert plate.unrest < 0.01
