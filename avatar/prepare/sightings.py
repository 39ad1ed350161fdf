"""All that was seen of people in one video: a row for each person in each picture."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from .landmarks import Person, Picture
from .region import Region
from .skeleton import NAMES, NUM_LANDMARKS, TORSO

THIGHS = [NAMES.index(name) for name in ("left_hip", "right_hip", "left_knee", "right_knee")]
SAMPLES = 8  # of a quadrilateral's side


@dataclass(frozen=True, kw_only=True, eq=False)
class Sightings:
    """People in the pictures of one video; rows are ordered by picture.

    Attributes:
        num_pictures: of the video, an array of no axes.
        pictures: of each row, counted from 0.
        tracks: who it is, counted from 0; the same number is the same person unless people hid each other.
        points_px: landmarks of ``skeleton.NAMES`` in the picture; pixel centres at .5.
        confidences: probability that a landmark is in the picture and not hidden.
        guesses_m: see ``Person.points_m``.
        regions: centre x and y, size and turn of the square that ``soft_masks`` fill, see ``Region``.
        soft_masks: the person in that square, 0 to 255.
        colors: the medians of torso and thighs, 0 to 255; NaN outside the picture.
    """

    num_pictures: Int[ndarray, ""]
    pictures: Int[ndarray, " n"]
    tracks: Int[ndarray, " n"]
    points_px: Float[ndarray, "n 33 2"]
    confidences: Float[ndarray, "n 33"]
    guesses_m: Float[ndarray, "n 33 3"]
    regions: Float[ndarray, "n 4"]
    soft_masks: UInt8[ndarray, "n 256 256"]
    colors: Float[ndarray, "n 2 3"]

    @staticmethod
    def of(num_pictures: int, seen: Sequence[tuple[int, int, Person, Float[ndarray, "2 3"]]]) -> "Sightings":
        """Of picture, track, person and colours of each row."""
        regions = [
            (*person.region.centre_px, person.region.size_px, person.region.rotation_rad) for *_, person, _ in seen
        ]
        count = len(seen)
        return Sightings(
            num_pictures=np.array(num_pictures),
            pictures=np.array([row[0] for row in seen], np.int64),
            tracks=np.array([row[1] for row in seen], np.int64),
            points_px=np.array([row[2].points_px for row in seen], np.float32).reshape(count, NUM_LANDMARKS, 2),
            confidences=np.array([row[2].visibilities for row in seen], np.float32).reshape(count, NUM_LANDMARKS),
            guesses_m=np.array([row[2].points_m for row in seen], np.float32).reshape(count, NUM_LANDMARKS, 3),
            regions=np.array(regions, np.float64).reshape(count, 4),
            soft_masks=np.array([row[2].soft_mask for row in seen], np.uint8).reshape(count, 256, 256),
            colors=np.array([row[3] for row in seen], np.float32).reshape(count, 2, 3),
        )

    @property
    def num_tracks(self) -> int:
        """The highest number of a track, and one."""
        return int(self.tracks.max(initial=-1)) + 1

    def table(self) -> Int[ndarray, "f k"]:
        """The row of each picture and track; -1 where it was not seen."""
        rows = np.full((int(self.num_pictures), self.num_tracks), -1)
        rows[self.pictures, self.tracks] = np.arange(len(self.pictures))
        return rows

    def heights_px(self) -> Float[ndarray, " n"]:
        """How tall each is in the picture: what the landmarks span from top to bottom."""
        return np.ptp(self.points_px[..., 1], axis=1)

    def around(self, picture: int) -> list[int]:
        """The rows of everybody in a picture; where one is missed, those before and after: they may be there unseen."""
        rows = []
        for column in self.table().T:
            known = np.flatnonzero(column >= 0)
            after = int(np.searchsorted(known, picture))
            nearest = [picture] if picture in known else known[max(after - 1, 0) : after + 1].tolist()
            rows += column[nearest].tolist()
        return rows

    def arrays(self) -> dict[str, ndarray]:
        """For a file of arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def of_arrays(arrays: dict[str, ndarray]) -> "Sightings":
        """The inverse of ``arrays``."""
        return Sightings(**arrays)

    def followed(self, rows: Int[ndarray, " f"]) -> dict[str, ndarray]:
        """One person's landmarks by picture, from its row in each; NaN and confidence zero where that is -1."""
        is_seen = rows >= 0
        names = {"points_px": np.nan, "confidences": 0, "guesses_m": np.nan}
        found = {}
        for name, empty in names.items():
            values = getattr(self, name)
            found[name] = np.full((len(rows), *values.shape[1:]), empty, values.dtype)
            found[name][is_seen] = values[rows[is_seen]]
        return found

    def mask(self, row: int, size: tuple[int, int]) -> Float[ndarray, "h w"]:
        """Probability of the person of a row at every pixel of the picture, whose ``size`` is (height, width)."""
        column, line, side, turn = self.regions[row].tolist()
        region = Region(centre_px=(column, line), size_px=side, rotation_rad=turn)
        return region.paste(self.soft_masks[row].astype(np.float32) / 255, *size)


def clothes_colors(picture: Picture, points_px: Float[ndarray, "33 2"]) -> Float[ndarray, "2 3"]:
    """The median colours between shoulders and hips, and between hips and knees; NaN outside the picture."""
    return np.stack([_median_color(picture, points_px[corners]) for corners in (TORSO, THIGHS)])


def _median_color(picture: Picture, corners_px: Float[ndarray, "4 2"]) -> Float[ndarray, "3"]:
    share = (np.arange(SAMPLES) + 0.5) / SAMPLES
    across, down = (grid.reshape(-1, 1) for grid in np.meshgrid(share, share))
    top = corners_px[0] * (1 - across) + corners_px[1] * across
    bottom = corners_px[2] * (1 - across) + corners_px[3] * across
    columns, lines = np.floor(top * (1 - down) + bottom * down).astype(np.int64).T
    is_inside = (columns >= 0) & (lines >= 0) & (columns < picture.shape[1]) & (lines < picture.shape[0])
    if not is_inside.any():
        return np.full(3, np.nan)
    return np.median(picture[lines[is_inside], columns[is_inside]], axis=0)
