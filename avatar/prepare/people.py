"""All people in a video, each followed from picture to picture."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .landmarks import Landmarker, Person, Picture, look
from .sightings import Sightings, clothes_colors

SAME = 0.06  # landmarks nearer than this share of the region belong to one person
SOON = 3  # pictures in which somebody lost is looked for at once
GREY = 128


@dataclass(frozen=True, kw_only=True)
class PeopleConfig:
    """How many people are followed, and how.

    Attributes:
        max_people: at once.
        detect_every: pictures after which new people are looked for; at once where somebody was lost.
        max_gap: pictures for which somebody who was lost is the same person when found again.
        max_color: difference of clothes, 0 to 255, from which somebody found in their place is another person.
        max_move: by which a person moves at most from one picture to the next, in sizes of the region, unless the
            clothes are the same.
        min_size: people smaller than this share of the largest are not followed.
        min_presence: share of the longest track's pictures that a track must have to be kept.
        min_motion: a track whose landmarks move less than this share of its region is no person, unless the largest.
    """

    max_people: int = 4
    detect_every: int = 10
    max_gap: int = 30
    max_color: float = 45.0
    max_move: float = 0.15
    min_size: float = 0.4
    min_presence: float = 0.02
    min_motion: float = 0.002

    def __post_init__(self) -> None:
        for name in ("max_people", "detect_every", "max_gap"):
            if getattr(self, name) < 1:
                raise ValueError(f"PeopleConfig.{name}: expected one or more, got {getattr(self, name)}")
        for name in ("max_color", "max_move"):
            if getattr(self, name) <= 0:
                raise ValueError(f"PeopleConfig.{name}: expected more than 0, got {getattr(self, name)}")
        for name in ("min_size", "min_presence", "min_motion"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"PeopleConfig.{name}: expected 0 <= share < 1, got {getattr(self, name)}")


def find_people(
    pictures: Iterable[Picture],
    landmarker: Landmarker,
    config: PeopleConfig | None = None,
    on_picture: Callable[[int], None] = lambda count: None,
) -> Sightings:
    """Everybody in a video's pictures, which come in order; ``on_picture`` is told how many are done.

    One person alone costs one look of the landmark model a picture, and the detector every ``detect_every``. Tracks of
    what never moves, beside a larger person, and of what was hardly ever there are dropped.
    """
    tracker = _Tracker(landmarker, config or PeopleConfig())
    count = 0
    for picture in pictures:
        tracker.look(picture, count)
        count += 1
        on_picture(count)
    return _kept(Sightings.of(count, tracker.seen), tracker.config)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Followed:
    """A person as last seen, in which picture, and the clothes over time."""

    person: Person
    picture: int
    colors: Float[ndarray, "2 3"]


class _Tracker:
    """Who is known, by number of their track, and all that was seen of them. Changes with every picture."""

    def __init__(self, landmarker: Landmarker, config: PeopleConfig) -> None:
        self.config = config
        self.seen: list[tuple[int, int, Person, Float[ndarray, "2 3"]]] = []
        self._landmarker = landmarker
        self._known: dict[int, _Followed] = {}
        self._count = 0

    def look(self, picture: Picture, number: int) -> None:
        """Follow everybody into the next picture, and look for others when it is time to."""
        found: dict[int, Person] = {}
        for track, last in self._known.items():
            if last.picture == number - 1:
                person = look(picture, self._landmarker, last.person.next_region)
                if person is not None and not self._has_jumped(picture, person, last):
                    found[track] = person
        found = self._without_doubles(found)
        just_lost = [
            last for track, last in self._known.items() if track not in found and last.picture >= number - SOON
        ]
        if just_lost or not found or number % self.config.detect_every == 0:
            self._detect(picture, found)
        for track, person in sorted(found.items()):
            colors = clothes_colors(picture, person.points_px)
            self.seen.append((number, track, person, colors))
            known = self._known.get(track)
            self._known[track] = _Followed(
                person=person, picture=number, colors=colors if known is None else _blended(known.colors, colors)
            )
        self._known = {
            track: last for track, last in self._known.items() if number - last.picture < self.config.max_gap
        }

    def _has_jumped(self, picture: Picture, person: Person, last: _Followed) -> bool:
        """Whether somebody else was found where the person is looked for."""
        if _distance(person, last.person) < self.config.max_move:
            return False
        return _color_distance(clothes_colors(picture, person.points_px), last.colors) > self.config.max_color

    def _without_doubles(self, found: dict[int, Person]) -> dict[int, Person]:
        """Of two tracks that came to one person, the one that had the shorter way."""
        order = sorted(found, key=lambda track: (_distance(found[track], self._known[track].person), track))
        kept: dict[int, Person] = {}
        for track in order:
            if all(_distance(found[track], other) > SAME for other in kept.values()):
                kept[track] = found[track]
        return kept

    def _detect(self, picture: Picture, found: dict[int, Person]) -> None:
        """Add whom the detector finds when those already found are hidden from it, as long as it finds somebody."""
        for _ in range(self.config.max_people - len(found)):
            rest = _hidden(picture, found.values())
            new = [self._add(picture, rest, person, found) for person in self._candidates(rest)]
            if not any(new):
                return

    def _candidates(self, rest: Picture) -> list[Person]:
        looks = [look(rest, self._landmarker, region) for region in self._landmarker.detect(rest)]
        return sorted((person for person in looks if person is not None), key=lambda person: -person.region.size_px)

    def _add(self, picture: Picture, rest: Picture, person: Person, found: dict[int, Person]) -> bool:
        """Take a new person in: as one who was lost, or as nobody known; False for one of no interest."""
        largest = max((other.region.size_px for other in found.values()), default=0.0)
        if len(found) >= self.config.max_people or person.region.size_px < self.config.min_size * largest:
            return False
        track = self._lost_one(person, clothes_colors(rest, person.points_px), found)
        if track is None:  # somebody new must be there when the others are
            seen = look(picture, self._landmarker, person.next_region)
            if seen is None or any(_distance(seen, other) < SAME for other in found.values()):
                return False
            person, track, self._count = seen, self._count, self._count + 1
        found[track] = person
        return True

    def _lost_one(self, person: Person, colors: Float[ndarray, "2 3"], found: dict[int, Person]) -> int | None:
        """The lost person who was last seen nearest, in clothes like these."""
        reach = self._landmarker.config.max_jump
        distances = {
            track: last.person.next_region.distance(person.region)
            for track, last in self._known.items()
            if track not in found and _color_distance(colors, last.colors) < self.config.max_color
        }
        near = [track for track, distance in distances.items() if distance < reach]
        return min(near, key=lambda track: (distances[track], track), default=None)


def _distance(person: Person, other: Person) -> float:
    """The median distance of their landmarks, in sizes of the larger region."""
    distances = np.linalg.norm(person.points_px - other.points_px, axis=1)
    return float(np.median(distances)) / max(person.region.size_px, other.region.size_px)


def _color_distance(colors: Float[ndarray, "2 3"], other: Float[ndarray, "2 3"]) -> float:
    """The larger of the differences of torso and thighs, over what is known of both."""
    return float(np.nanmax(np.append(np.abs(colors - other).mean(axis=1), 0.0)))


def _blended(known: Float[ndarray, "2 3"], new: Float[ndarray, "2 3"]) -> Float[ndarray, "2 3"]:
    """Colours that follow the light slowly."""
    return np.where(np.isnan(known), new, np.where(np.isnan(new), known, 0.95 * known + 0.05 * new))


def _hidden(picture: Picture, people: Iterable[Person]) -> Picture:
    """The picture without these people."""
    rest = picture.copy()
    for person in people:
        mask = person.mask(*picture.shape[:2]) > 0.3
        margin = max(1, round(person.region.size_px / 100))
        rest[cv2.dilate(mask.astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8)) > 0] = GREY
    return rest


def _kept(seen: Sightings, config: PeopleConfig) -> Sightings:
    """Pieces of one person's track are joined, tracks that are hardly ever there or never move are dropped."""
    tracks = [np.flatnonzero(seen.tracks == track) for track in range(seen.num_tracks)]
    tracks = _joined(seen, [rows for rows in tracks if len(rows)], config.max_color / 2)
    longest = max(map(len, tracks), default=0)
    tracks = [rows for rows in tracks if len(rows) >= config.min_presence * longest]
    sizes = [float(seen.heights_px()[rows].sum()) for rows in tracks]
    numbers = np.full(len(seen.tracks), -1)
    people = [
        rows
        for rows, size in zip(tracks, sizes, strict=True)
        if size == max(sizes) or _motion(seen, rows) >= config.min_motion
    ]
    for number, rows in enumerate(people):
        numbers[rows] = number
    kept = {name: values[numbers >= 0] for name, values in seen.arrays().items() if name != "num_pictures"}
    return replace(seen, **kept | {"tracks": numbers[numbers >= 0]})


def _joined(seen: Sightings, tracks: Sequence[ndarray], max_color: float) -> list[ndarray]:
    """Each track added to the one, over before it began, in whose clothes it is, if there is one such alone."""
    people: list[ndarray] = []
    for rows in tracks:  # in the order in which they began
        colors = _median_colors(seen, rows)
        alike = [
            number
            for number, earlier in enumerate(people)
            if seen.pictures[earlier[-1]] < seen.pictures[rows[0]]
            and _color_distance(_median_colors(seen, earlier), colors) < max_color
        ]
        if len(alike) == 1:
            people[alike[0]] = np.concatenate([people[alike[0]], rows])
        else:
            people.append(rows)
    return people


def _median_colors(seen: Sightings, rows: ndarray) -> Float[ndarray, "2 3"]:
    """Over time; NaN where they were never seen."""
    parts = [seen.colors[rows, part] for part in range(2)]
    known = [part[np.isfinite(part).all(axis=1)] for part in parts]
    return np.stack([np.median(part, axis=0) if len(part) else np.full(3, np.nan) for part in known])


def _motion(seen: Sightings, rows: ndarray) -> float:
    """How far the landmarks are from their medians, in sizes of the region: the upper quartile of the medians."""
    points = seen.points_px[rows]
    away = np.linalg.norm(points - np.median(points, axis=0), axis=2)
    return float(np.quantile(np.median(away, axis=1) / seen.regions[rows, 2], 0.75))
