"""Landmarks of one picture: where they lie and, where the models are there, what these find."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.prepare import LandmarkConfig, Landmarker, Person, Region
from avatar.prepare.landmarks import look
from avatar.prepare.skeleton import BONES, MIRROR, NAMES


def region(column: float, size_px: float = 40.0) -> Region:
    return Region(centre_px=(float(column), 50.0), size_px=float(size_px), rotation_rad=0.0)


def person(at: Region) -> Person:
    points = np.zeros((33, 2))
    return Person(
        points_px=points,
        visibilities=np.ones(33),
        presences=np.ones(33),
        points_m=np.zeros((33, 3)),
        score=0.9,
        region=at,
        next_region=at,
        soft_mask=np.zeros((256, 256), np.uint8),
    )


def test_a_persons_mask_lies_where_the_region_is() -> None:
    soft_mask = np.zeros((256, 256), np.uint8)
    soft_mask[64:192, 64:192] = 255  # the middle half
    mask = replace(person(region(100, 80)), soft_mask=soft_mask).mask(100, 200)
    rows, columns = np.nonzero(mask > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 69, 80, 119)


def test_names_have_mirror_images() -> None:
    assert len(NAMES) == 33
    assert all(MIRROR[MIRROR[i]] == i for i in range(33))
    assert [NAMES[i] for i, other in enumerate(MIRROR) if i == other] == ["nose"]
    assert (NAMES[0], NAMES[11], NAMES[28]) == ("nose", "left_shoulder", "right_ankle")
    assert len(set(BONES)) == 10


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"pose_detection\.tflite: not fetched; run `avatar assets fetch pose`"):
        Landmarker(LandmarkConfig(), tmp_path)
    (tmp_path / "pose").mkdir()
    for name in ("pose_detection", "pose_landmark_heavy"):
        (tmp_path / "pose" / f"{name}.tflite").write_bytes(b"no network")

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("avatar.prepare.litert.import_module", missing)
    with pytest.raises(ImportError, match=r"ai_edge_litert: cannot be imported .*run `pip install 'avatar\[pose\]'`$"):
        Landmarker(LandmarkConfig(), tmp_path)


def test_configs_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match=r"LandmarkConfig\.min_presence: expected 0 < score < 1, got 1"):
        LandmarkConfig(min_presence=1.0)
    with pytest.raises(ValueError, match=r"LandmarkConfig\.max_jump: expected more than 0, got 0"):
        LandmarkConfig(max_jump=0.0)


def test_a_broken_model_is_named(landmarker: Landmarker, tmp_path: Path) -> None:
    (tmp_path / "pose").mkdir()
    (tmp_path / "pose" / "pose_detection.tflite").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"pose_detection\.tflite: not a network"):
        Landmarker(LandmarkConfig(), tmp_path)


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def largest(picture: np.ndarray, landmarker: Landmarker) -> Person:
    looks = [look(picture, landmarker, region) for region in landmarker.detect(picture)]
    return max((found for found in looks if found is not None), key=lambda found: found.region.size_px)


def test_a_man_beside_a_bystander(landmarker: Landmarker, shared: Path) -> None:
    """Landmarks of every tenth picture agree with those of another program for the same network."""
    known = np.load(shared / "balance4" / "keypoints2d.npz")["keypoints"][::10, 1]
    pictures = [read(shared / f"balance4/Camera_B2/{frame:06d}.jpg") for frame in range(0, 50, 10)]
    people = [largest(picture, landmarker) for picture in pictures]
    found = np.stack([one.points_px for one in people])
    errors = np.linalg.norm(found - known[..., :2] - 0.5, axis=-1)[known[..., 2] > 0.5]
    assert np.median(errors) < 4, "of a man of 400 pixels"
    assert min(one.score for one in people) > 0.99
    guesses = np.stack([one.points_m[:, :2] - one.points_m[:, :2].mean(axis=0) for one in people])
    offsets = found - found.mean(axis=1, keepdims=True)
    cosines = (guesses * offsets).sum(axis=(1, 2)) / np.linalg.norm(guesses, axis=(1, 2))
    assert (cosines / np.linalg.norm(offsets, axis=(1, 2))).min() > 0.98, "guesses lean as the person does"


def test_a_rendered_man(landmarker: Landmarker, shared: Path) -> None:
    """The mask agrees with the true one, as far as 256 pixels a person can."""
    picture = read(shared / "studio_tee/Camera_B1/000000.jpg")
    is_person = largest(picture, landmarker).mask(512, 512) > 0.5
    is_true = read(shared / "studio_tee/mask/Camera_B1/000000.png")[..., 0] > 127
    assert (is_person & is_true).sum() / (is_person | is_true).sum() > 0.9
