"""Foreground masks: a person's soft mask, what differs from the empty scene, and the picture's own edges, together."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

FAINT = 1e-4  # probability of somebody where their soft mask is zero
COVERED = 999  # beyond every colour: sorts behind them


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How masks are made. Lengths are shares of the person's height in the picture, colours are 0 to 255.

    Attributes:
        moved_color: difference from the empty scene at which a pixel is as likely person as scene.
        moved_scale: difference that changes those odds by a factor e.
        max_log_odds: how sure a difference can make; a person's mask of more confidence is believed more.
        reach: how far from the soft mask the person may extend.
        edge_radius: radius within which the mask follows the picture's edges; 0 leaves it as it is.
        edge_variance: variance of colours, of pictures from 0 to 1, below which they count as one.
        min_island: parts smaller than this share of the largest are dropped.
    """

    moved_color: float = 20.0
    moved_scale: float = 6.0
    max_log_odds: float = 3.0
    reach: float = 0.04
    edge_radius: float = 0.007
    edge_variance: float = 3e-4
    min_island: float = 0.05

    def __post_init__(self) -> None:
        for name in ("moved_color", "moved_scale", "max_log_odds", "reach", "edge_variance"):
            if getattr(self, name) <= 0:
                raise ValueError(f"MaskConfig.{name}: expected more than 0, got {getattr(self, name)}")
        for name in ("edge_radius", "min_island"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"MaskConfig.{name}: expected 0 <= share < 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class CleanPlate:
    """The scene of a static camera without the person.

    Attributes:
        picture: its colours; black where they are not known.
        is_known: true where the scene was seen at least three times.
        unrest: share of what was seen of the scene that differs from ``picture``. More than a tenth says that the
            camera moved or the light changed: do without this plate.
    """

    picture: UInt8[ndarray, "h w 3"]
    is_known: Bool[ndarray, "h w"]
    unrest: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreground:
    """A person's mask in one picture.

    Attributes:
        is_foreground: true where the person is.
        disagreement: pixels near the person that only one of soft mask and difference from the scene takes for person,
            as a share of those that both do; None where the scene behind is not known.
    """

    is_foreground: Bool[ndarray, "h w"]
    disagreement: float | None


def clean_plate(
    pictures: Sequence[UInt8[ndarray, "h w 3"]],
    persons: Sequence[Float[ndarray, "h w"]],
    config: MaskConfig | None = None,
) -> CleanPlate:
    """The median, over time, of what the person's soft masks leave uncovered. Thirty pictures of a video are enough."""
    config = config or MaskConfig()
    covered = np.stack([_covered(person, config.reach / 4) for person in persons])
    height, width = covered.shape[1:]
    plate, is_known = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    moved, seen = 0, 0
    for top in range(0, height, 64):  # a band of rows at a time, for the sake of memory
        rows = slice(top, top + 64)
        colors = np.stack([picture[rows] for picture in pictures], axis=-1).astype(np.uint16)
        hidden = np.moveaxis(covered[:, rows], 0, -1)
        colors[np.broadcast_to(hidden[:, :, None], colors.shape)] = COVERED
        counts = (~hidden).sum(axis=-1)
        middle = (np.maximum(counts, 1)[..., None, None] - 1) // 2
        median = np.take_along_axis(np.sort(colors, axis=-1), middle, axis=-1)
        is_known[rows] = counts >= 3
        plate[rows] = np.where(is_known[rows][..., None], median[..., 0], 0)
        is_seen = ~hidden & is_known[rows][..., None]
        differs = np.abs(colors.astype(np.int16) - median.astype(np.int16)).max(axis=2) > config.moved_color
        moved, seen = moved + int((differs & is_seen).sum()), seen + int(is_seen.sum())
    return CleanPlate(picture=plate, is_known=is_known, unrest=moved / max(seen, 1))


def foreground(
    picture: UInt8[ndarray, "h w 3"],
    person: Float[ndarray, "h w"],
    plate: CleanPlate | None = None,
    config: MaskConfig | None = None,
    others: Float[ndarray, "h w"] | None = None,
) -> Foreground:
    """The mask of the person whose soft mask, from 0 to 1, is given; empty where that finds nobody.

    Soft mask and difference from the plate are two opinions whose log odds add up. A pixel that differs may also be one
    of the ``others``, whose soft masks' maximum that is. The sum follows the colours of the picture by a guided filter
    (He et al., "Guided Image Filtering", TPAMI 2013).
    """
    config = config or MaskConfig()
    is_foreground = np.zeros(person.shape, bool)
    rows, columns = np.nonzero(person > 0.5)
    if not len(rows):
        return Foreground(is_foreground=is_foreground, disagreement=None)
    height_px = int(rows.max() - rows.min()) + 1
    reach = max(2, round(config.reach * height_px))
    box = tuple(slice(max(0, int(i.min()) - 2 * reach), int(i.max()) + 2 * reach + 1) for i in (rows, columns))
    picture, person = picture[box], np.clip(person[box], 0.01, 0.99).astype(np.float32)
    log_odds = np.log(person / (1 - person))
    is_near = cv2.dilate((person > 0.3).astype(np.uint8), _disk(reach)) > 0
    rival = np.zeros_like(person) if others is None else others[box]
    disagreement, scene = None, np.zeros_like(person)
    if plate is not None:
        is_known = plate.is_known[box]
        moved = _moved(picture, plate.picture[box], config)
        disagreement = _disagreement(person > 0.5, moved > 0, is_known & is_near & (rival < 0.1))
        scene = -np.where(is_known, np.clip(moved, -config.max_log_odds, 2 * config.max_log_odds), 0)
    if others is not None:
        rival = np.clip(rival, FAINT, 0.99)
        scene = np.logaddexp(scene, np.log(rival / (1 - rival)))  # the scene or another person
    log_odds -= scene
    probability = np.where(is_near, 1 / (1 + np.exp(-log_odds)), 0).astype(np.float32)
    if radius := round(config.edge_radius * height_px):
        probability = guided_filter(picture.astype(np.float32) / 255, probability, radius, config.edge_variance)
    is_foreground[box] = _without_islands(probability > 0.5, config.min_island)
    return Foreground(is_foreground=is_foreground, disagreement=disagreement)


def guided_filter(
    guide: Float[ndarray, "h w 3"], values: Float[ndarray, "h w"], radius: int, variance: float
) -> Float[ndarray, "h w"]:
    """Values smoothed along the guide: in every window they are linear in its colours (He et al. 2013, section 3.4)."""

    def mean(array: ndarray) -> ndarray:
        return cv2.blur(array, (2 * radius + 1, 2 * radius + 1))

    mean_guide, mean_values = mean(guide), mean(values)
    covariance = mean(guide * values[..., None]) - mean_guide * mean_values[..., None]
    products = np.stack([mean(guide * guide[..., i : i + 1]) for i in range(3)], axis=-1)
    spread = products - mean_guide[..., None] * mean_guide[..., None, :] + variance * np.eye(3, dtype=guide.dtype)
    slopes = np.linalg.solve(spread, covariance[..., None])[..., 0]
    offsets = mean_values - (slopes * mean_guide).sum(axis=-1)
    return (mean(slopes) * guide).sum(axis=-1) + mean(offsets)


def _covered(person: Float[ndarray, "h w"], margin: float) -> Bool[ndarray, "h w"]:
    """Where the person, and a margin of that share of its height, hides the scene."""
    is_person = person > 0.1
    rows = np.flatnonzero(is_person.any(axis=1))
    if not len(rows):
        return is_person
    return cv2.dilate(is_person.astype(np.uint8), _disk(max(1, round(margin * int(np.ptp(rows)))))) > 0


def _moved(
    picture: UInt8[ndarray, "h w 3"], plate: UInt8[ndarray, "h w 3"], config: MaskConfig
) -> Float[ndarray, "h w"]:
    """Log odds of person to scene by the colour's difference, whose noise the median of nine pixels lowers."""
    difference = np.abs(picture.astype(np.float32) - plate).max(axis=-1)
    return (cv2.medianBlur(difference, 3) - config.moved_color) / config.moved_scale


def _disagreement(left: Bool[ndarray, "h w"], right: Bool[ndarray, "h w"], where: Bool[ndarray, "h w"]) -> float | None:
    left, right = left & where, right & where
    both = int((left & right).sum())
    return int((left ^ right).sum()) / both if both else None


def _without_islands(is_foreground: Bool[ndarray, "h w"], share: float) -> Bool[ndarray, "h w"]:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(is_foreground.astype(np.uint8), connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0  # the background
    return np.isin(labels, np.flatnonzero(areas >= max(1, share * areas.max())))


def _disk(radius: int) -> UInt8[ndarray, "s s"]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
