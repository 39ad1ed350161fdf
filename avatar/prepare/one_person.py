"""Which of the people is the one, and where each camera sees them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from avatar.structs import Camera

from .first_clocks import PeopleFilmed, first_clocks
from .same_person import MatchedPerson, PeopleSeen, match_people
from .sightings import Sightings
from .timeline import rows_of

MOST_MOMENTS = 2000


@dataclass(frozen=True, kw_only=True)
class PersonAt:
    """Somebody pointed at in a picture.

    Attributes:
        camera: its name.
        picture: number in the camera's video, from 0.
        point_px: right and down, in the video's picture.
    """

    camera: str
    picture: int
    point_px: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class OnePerson:
    """One person in all videos.

    Attributes:
        rows: for each camera the row of ``Sightings`` in each of its pictures; -1 where the person is not seen.
        num_people: how many there were to choose from.
        agreement: see ``MatchedPerson``.
    """

    rows: tuple[Int[ndarray, " _"], ...]
    num_people: int
    agreement: float


def wanted_person(text: str) -> int | PersonAt:
    """``2`` for the second largest person, ``camera:picture:x,y`` for who is there. ValueError for anything else."""
    if re.fullmatch(r"[1-9]\d{0,3}", text):
        return int(text)
    number = r"(\d{1,9}(?:\.\d{1,9})?)"
    if found := re.fullmatch(rf"(.+):(\d{{1,9}}):{number},{number}", text):
        camera, picture, x, y = found.groups()
        return PersonAt(camera=camera, picture=int(picture), point_px=(float(x), float(y)))
    raise ValueError(f"person: expected a number from 1, by size, or camera:picture:x,y, got {text!r}")


def follow_one(
    cameras: Sequence[Camera],
    sightings: Sequence[Sightings],
    points_px: Sequence[Float[ndarray, "_ 33 2"]],
    steps: Int[ndarray, "f c"],
    wanted: int | PersonAt = 1,
) -> OnePerson:
    """The wanted person in all cameras.

    Args:
        cameras: calibrated, of undistorted pictures.
        sightings: everybody in each camera's video.
        points_px: landmarks of all sightings in the undistorted pictures.
        steps: for each moment and camera the number of its picture; -1 where it has none.
        wanted: which person; 1 is the largest for most of the time in most cameras.

    Raises ValueError where there is no such person.
    """
    columns = zip(sightings, points_px, steps.T, strict=True)
    tables = [_table(each, column) for each, column in zip(sightings, steps.T, strict=True)]
    seen = [_seen(each, points, table) for (each, points, _), table in zip(columns, tables, strict=True)]
    people = match_people(cameras, seen)
    person = people[_index([camera.name for camera in cameras], sightings, steps, people, wanted)]
    rows = []
    for i, (each, column) in enumerate(zip(sightings, steps.T, strict=True)):
        rows.append(_rows(each, column, person.tracks[:, i]))
    return OnePerson(rows=tuple(rows), num_people=len(people), agreement=person.agreement)


def first_moments(
    cameras: Sequence[Camera],
    sightings: Sequence[Sightings],
    points_px: Sequence[Float[ndarray, "_ 33 2"]],
    times_s: Sequence[Float[ndarray, " _"]],
) -> Int[ndarray, "f c"]:
    """The ``steps`` of ``follow_one``, at most a few thousand, while clocks are known by anybody's motion only.

    ``times_s`` are of each video's pictures, by its own clock. Raises ValueError where videos do not overlap.
    """
    tables = [each.table() for each in sightings]
    seen = [_seen(each, points, table) for each, points, table in zip(sightings, points_px, tables, strict=True)]
    filmed = [PeopleFilmed(times_s=times, seen=each) for times, each in zip(times_s, seen, strict=True)]
    longest = max(map(len, times_s))
    span_s = max(float(times[-1] - times[0]) for times in times_s)
    rate_hz = min(longest, MOST_MOMENTS) / span_s if span_s > 0 else 1.0
    return rows_of(times_s, first_clocks(cameras, filmed), rate_hz)


def _table(sightings: Sightings, pictures: Int[ndarray, " f"]) -> Int[ndarray, "f k"]:
    """The row of each moment and track."""
    return np.where(pictures[:, None] >= 0, sightings.table()[np.maximum(pictures, 0)], -1)


def _seen(sightings: Sightings, points_px: Float[ndarray, "n 33 2"], table: Int[ndarray, "f k"]) -> PeopleSeen:
    is_seen = table >= 0
    points = np.full((*table.shape, *points_px.shape[1:]), np.nan)
    confidences = np.zeros(points.shape[:-1])
    points[is_seen], confidences[is_seen] = points_px[table[is_seen]], sightings.confidences[table[is_seen]]
    return PeopleSeen(points_px=torch.from_numpy(points), confidences=torch.from_numpy(confidences))


def _rows(sightings: Sightings, pictures: Int[ndarray, " f"], tracks: Int[ndarray, " f"]) -> Int[ndarray, " p"]:
    """The row of each picture of the video, from the tracks at moments; between them the nearest moment counts."""
    known = np.flatnonzero(pictures >= 0)
    all_pictures = np.arange(int(sightings.num_pictures))
    if not len(known) or not sightings.num_tracks:
        return np.full(len(all_pictures), -1)
    middles = (pictures[known][1:] + pictures[known][:-1]) / 2
    nearest = known[np.searchsorted(middles, all_pictures)]
    chosen = tracks[nearest]
    return np.where(chosen >= 0, sightings.table()[all_pictures, chosen], -1)


def _index(
    names: Sequence[str],
    sightings: Sequence[Sightings],
    steps: Int[ndarray, "f c"],
    people: Sequence[MatchedPerson],
    wanted: int | PersonAt,
) -> int:
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(people):
            raise ValueError(f"person {wanted}: {len(people)} people were found; choose one of them")
        return wanted - 1
    if wanted.camera not in names:
        raise ValueError(f"person {wanted.camera}: no such camera; there are {', '.join(names)}")
    camera = names.index(wanted.camera)
    track = _track_at(sightings[camera], wanted)
    step = int(np.abs(steps[:, camera] - wanted.picture).argmin())
    for i, person in enumerate(people):
        if person.tracks[step, camera] == track:
            return i
    raise ValueError(f"person at {wanted}: seen in that camera alone, so not followed; point at somebody else")


def _track_at(sightings: Sightings, wanted: PersonAt) -> int:
    rows = np.flatnonzero(sightings.pictures == wanted.picture)
    if not len(rows):
        raise ValueError(f"{wanted.camera}: nobody was found in picture {wanted.picture}; point at somebody in another")
    distances = np.linalg.norm(sightings.points_px[rows] - np.array(wanted.point_px), axis=2).min(axis=1)
    return int(sightings.tracks[rows[distances.argmin()]])
