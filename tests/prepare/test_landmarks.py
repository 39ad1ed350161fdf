"""Landmarks: who is followed among several, and, where the models are there, what they find."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.prepare import LandmarkConfig, Landmarker, Person, Region, track
from avatar.prepare.skeleton import BONES, MIRROR, NAMES

EMPTY = np.zeros((100, 200, 3), np.uint8)


def region(column: float, size_px: float = 40.0) -> Region:
    return Region(centre_px=(float(column), 50.0), size_px=float(size_px), rotation_rad=0.0)


def person(at: Region, score: float = 0.9) -> Person:
    points = np.zeros((33, 2))
    return Person(
        points_px=points,
        visibilities=np.ones(33),
        presences=np.ones(33),
        points_m=np.zeros((33, 3)),
        score=score,
        region=at,
        next_region=at,
        soft_mask=np.zeros((256, 256), np.uint8),
    )


class Stage(Landmarker):
    """A landmarker that knows who stands where: one list of regions a picture, whose number is its first pixel."""

    def __init__(self, people: Sequence[Sequence[Region]]) -> None:
        self.config, self.people, self.detections = LandmarkConfig(), people, 0

    def detect(self, picture: np.ndarray) -> list[Region]:
        self.detections += 1
        return list(self.people[picture[0, 0, 0]])

    def landmarks(self, picture: np.ndarray, region: Region) -> Person:
        """Finds whoever stands nearest, when that is near."""
        offset = [abs(one.centre_px[0] - region.centre_px[0]) for one in self.people[picture[0, 0, 0]]]
        if not offset or min(offset) > 15:
            return person(region, score=0.1)
        return person(self.people[picture[0, 0, 0]][int(np.argmin(offset))])

    def follow(self, start: Region | None = None) -> list[float | None]:
        pictures = [np.full_like(EMPTY, i) for i in range(len(self.people))]
        found = track(pictures, self, start)
        return [None if one is None else one.region.centre_px[0] for one in found]


def test_the_largest_is_followed() -> None:
    stage = Stage([[region(30), region(100, 60)], [region(32), region(104, 60)], [region(90, 80), region(108)]])
    # In the last picture another, larger person comes close; the nearer one is kept.
    assert stage.follow() == [100, 104, 108]
    assert stage.detections == 1, "the detector looks only when nobody is known"


def test_a_start_chooses_another() -> None:
    stage = Stage([[region(30), region(100, 60)], [region(32), region(104, 60)]])
    assert stage.follow(start=region(35)) == [30, 32]


def test_who_was_lost_is_found_near_the_last_place() -> None:
    stage = Stage([[region(50)], [], [region(150, 80), region(60)], [region(150, 80)], [region(62)]])
    assert stage.follow() == [50, None, 60, None, 62]


def test_nobody_in_an_empty_scene() -> None:
    assert Stage([[], []]).follow() == [None, None]


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


def test_a_man_beside_a_bystander(landmarker: Landmarker, shared: Path) -> None:
    """Landmarks of every tenth picture agree with those of another program for the same network."""
    known = np.load(shared / "balance4" / "keypoints2d.npz")["keypoints"][::10, 1]
    pictures = [read(shared / f"balance4/Camera_B2/{frame:06d}.jpg") for frame in range(0, 50, 10)]
    people = [one for one in track(pictures, landmarker) if one is not None]
    assert len(people) == 5
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
    (found,) = track([picture], landmarker)
    assert found is not None
    is_person = found.mask(512, 512) > 0.5
    is_true = read(shared / "studio_tee/mask/Camera_B1/000000.png")[..., 0] > 127
    assert (is_person & is_true).sum() / (is_person | is_true).sum() > 0.9
