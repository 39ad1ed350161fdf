"""A person's landmarks in pictures, by BlazePose (Bazarevsky et al. 2020).

A detector finds people in the whole picture: the middle of their hips and a circle that holds them. In the turned
square around one of them a second network finds 33 landmarks, two more points that say where the square of the next
picture is, and a soft mask of the person.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.assets import pose_path

from .litert import Network
from .region import Region
from .skeleton import NUM_LANDMARKS

Picture = UInt8[ndarray, "h w 3"]

DETECTOR_SIZE, REGION_SIZE = 224, 256
# The detector's candidates lie on three grids: pixels a cell, candidates a cell.
DETECTOR_GRIDS = ((8, 2), (16, 2), (32, 6))


@dataclass(frozen=True, kw_only=True)
class LandmarkConfig:
    """How people are found and followed.

    Attributes:
        model: which of BlazePose's landmark models; ``heavy`` is the most accurate.
        min_detection: score from 0 to 1 from which the detector's candidate is a person.
        min_presence: score from 0 to 1 below which the square around the last position holds nobody.
        max_jump: how far a person who was lost may have moved, in sizes of the square.
        max_drift: how much the square around the person, as found, may differ from the one looked at, in sizes, before
            it is looked at again.
        num_threads: of the networks.
    """

    model: Literal["heavy", "full", "lite"] = "heavy"
    min_detection: float = 0.5
    min_presence: float = 0.5
    max_jump: float = 0.5
    max_drift: float = 0.05
    num_threads: int = 1

    def __post_init__(self) -> None:
        for name in ("min_detection", "min_presence"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"LandmarkConfig.{name}: expected 0 < score < 1, got {getattr(self, name)}")
        for name in ("max_jump", "max_drift", "num_threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"LandmarkConfig.{name}: expected more than 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """What the landmark model says of one person in one picture.

    Attributes:
        points_px: the landmarks of ``skeleton.NAMES``; pixel centres at .5. They may lie outside the picture.
        visibilities: probability that a landmark is in the picture and not hidden.
        presences: probability that a landmark is in the picture.
        points_m: the landmarks in metres as the network guesses them, x right and y down in the picture, z forward,
            from the hips.
        score: probability that the region holds a person.
        region: the square that the model looked at.
        next_region: the square around the person as found, for the next picture.
        soft_mask: the person in the region, 0 to 255.
    """

    points_px: Float[ndarray, "33 2"]
    visibilities: Float[ndarray, " 33"]
    presences: Float[ndarray, " 33"]
    points_m: Float[ndarray, "33 3"]
    score: float
    region: Region
    next_region: Region
    soft_mask: UInt8[ndarray, "256 256"]

    def mask(self, height: int, width: int) -> Float[ndarray, "h w"]:
        """Probability of the person at every pixel of the picture, zero outside the region."""
        return self.region.paste(self.soft_mask.astype(np.float32) / 255, height, width)


class Landmarker:
    """Finds people and their landmarks in single pictures. Owns the two networks."""

    def __init__(self, config: LandmarkConfig, cache: Path | None = None) -> None:
        """Raises FileNotFoundError with the command that fetches the models, ImportError with the pip line."""
        self.config = config
        self._detector = Network(pose_path("detector", cache), num_threads=config.num_threads)
        self._landmarks = Network(pose_path(config.model, cache), num_threads=config.num_threads)
        self._anchors = _anchors()

    def detect(self, picture: Picture) -> list[Region]:
        """The regions of all people in the picture, surest first."""
        height, width = picture.shape[:2]
        whole = Region(centre_px=(width / 2, height / 2), size_px=float(max(height, width)), rotation_rad=0.0)
        outputs = self._detector(whole.crop(picture, DETECTOR_SIZE) / np.float32(127.5) - 1)
        scores = _sigmoid(outputs[len(self._anchors), 1][:, 0])
        values = outputs[len(self._anchors), 12]
        regions: list[Region] = []
        for i in np.argsort(-scores)[: (scores >= self.config.min_detection).sum()]:
            points = values[i, 4:8].reshape(2, 2) + self._anchors[i]
            region = Region.around(*_apply(whole.picture_from_region(DETECTOR_SIZE), points))
            if all(region.distance(other) > 0.25 for other in regions):
                regions.append(region)
        return regions

    def landmarks(self, picture: Picture, region: Region) -> Person:
        """The person in a region, whatever the score."""
        outputs = self._landmarks(region.crop(picture, REGION_SIZE) / np.float32(255))
        values = outputs[195,].reshape(39, 5)
        points = _apply(region.picture_from_region(REGION_SIZE), values[:, :2])
        return Person(
            points_px=points[:NUM_LANDMARKS],
            visibilities=_sigmoid(values[:NUM_LANDMARKS, 3]),
            presences=_sigmoid(values[:NUM_LANDMARKS, 4]),
            points_m=region.turn(outputs[117,].reshape(39, 3)[:NUM_LANDMARKS].astype(np.float64)),
            score=float(outputs[1,][0]),
            region=region,
            next_region=Region.around(points[NUM_LANDMARKS], points[NUM_LANDMARKS + 1]),
            soft_mask=np.round(_sigmoid(outputs[REGION_SIZE, REGION_SIZE, 1][..., 0]) * 255).astype(np.uint8),
        )


def look(picture: Picture, landmarker: Landmarker, region: Region) -> Person | None:
    """The person in a region, looked at again where the region did not hold it well; None for nobody."""
    person = landmarker.landmarks(picture, region)
    if (
        person.score >= landmarker.config.min_presence
        and region.drift(person.next_region) > landmarker.config.max_drift
    ):
        person = landmarker.landmarks(picture, person.next_region)
    return person if person.score >= landmarker.config.min_presence else None


def _anchors() -> Float[ndarray, "n 2"]:
    """The cells' centres in the detector's pixels, in the order of its candidates."""
    grids = []
    for stride, count in DETECTOR_GRIDS:
        centres = (np.arange(DETECTOR_SIZE // stride) + 0.5) * stride
        columns, rows = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.stack([columns, rows], axis=-1).reshape(-1, 2), count, axis=0))
    return np.concatenate(grids)


def _apply(affine: Float[ndarray, "2 3"], points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
    return points @ affine[:, :2].T + affine[:, 2]


def _sigmoid(logits: ndarray) -> ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
