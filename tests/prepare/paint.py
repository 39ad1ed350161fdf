"""People painted as blocks of one colour, and a landmarker that sees them."""

from collections.abc import Sequence

import cv2
import numpy as np

from avatar.prepare import LandmarkConfig, Landmarker, Person, Region

HEIGHT, WIDTH = 120, 240
COLORS = np.array([[200, 40, 40], [40, 60, 200], [160, 180, 60]], np.uint8)
LAYOUT = np.random.default_rng(0).uniform(0.05, 0.95, (33, 2))
LAYOUT[[11, 12, 23, 24, 25, 26]] = [(0.2, 0.2), (0.8, 0.2), (0.3, 0.5), (0.7, 0.5), (0.3, 0.75), (0.7, 0.75)]
Block = tuple[int, float, float]
"""Whose colour, the middle's column, and the height; a block is half as wide as high and stands on row 100."""


def paint(blocks: Sequence[Block]) -> np.ndarray:
    """Blocks on a grey wall, the later in front."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for who, middle, height in blocks:
        left, right = (max(0, round(middle + side * height / 4)) for side in (-1, 1))
        picture[round(100 - height) : 100, left:right] = COLORS[who]
    return picture


class Painted(Landmarker):
    """Sees blocks of which enough is seen; counts how often it is asked."""

    def __init__(self, blind_to: Sequence[int] = ()) -> None:
        self.config, self.looks, self.detections, self.blind_to = LandmarkConfig(), 0, 0, blind_to

    def detect(self, picture: np.ndarray) -> list[Region]:
        self.detections += 1
        blocks = [box for who in range(len(COLORS)) if who not in self.blind_to for box in _boxes(picture, who)]
        return [_region(box) for box in sorted(blocks, key=lambda box: -box[3])]

    def landmarks(self, picture: np.ndarray, region: Region) -> Person:
        """Whoever's middle is nearest."""
        self.looks += 1
        found = [(box, who) for who in range(len(COLORS)) for box in _boxes(picture, who)]
        box, who = min(found, key=lambda each: _region(each[0]).distance(region), default=((0, 0, 1, 1), -1))
        at = _region(box)
        score = 0.99 if who >= 0 and at.distance(region) < 0.3 else 0.01
        mask = (picture[..., 0] == COLORS[who, 0]).astype(np.uint8) * 255
        return Person(
            points_px=LAYOUT * (box[2], box[3]) + (box[0], box[1]),
            visibilities=np.ones(33),
            presences=np.ones(33),
            points_m=np.zeros((33, 3)),
            score=score,
            region=at,
            next_region=at,
            soft_mask=at.crop(cv2.merge([mask] * 3), 256)[..., 0],
        )


def _boxes(picture: np.ndarray, who: int) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of what is seen of somebody, the largest part alone."""
    is_there = (picture[..., 0] == COLORS[who, 0]).astype(np.uint8)  # the red alone tells them apart
    _, _, statistics, _ = cv2.connectedComponentsWithStats(is_there)
    left, top, width, height, area = max(statistics[1:].tolist(), key=lambda row: row[4], default=(0, 0, 0, 0, 0))
    return [(left, top, width, height)] if area > 60 and height > width else []


def _region(box: tuple[int, int, int, int]) -> Region:
    left, top, width, height = box
    return Region(centre_px=(left + width / 2, top + height / 2), size_px=1.5 * height, rotation_rad=0.0)
