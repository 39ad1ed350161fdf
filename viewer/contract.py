"""What the server tells the page: the records of ``page/src/data/source.ts``, their names in camelCase there."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run folder. ``problem`` says why it cannot be shown and what to do, or is None."""

    name: str
    kind: Literal["hybrid", "field"] = "hybrid"
    problem: str | None = None
    num_gaussians: int = 0
    recipe: str | None = None
    capture: str | None = None
    split: str | None = None
    step: int = 0
    is_fitting: bool = False


@dataclass(frozen=True, kw_only=True)
class CaptureCamera:
    """A camera of the capture: OpenCV axes, pixel centres at .5, matrices row by row."""

    name: str
    width: int
    height: int
    intrinsics_px: Sequence[float]
    camera_from_world: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class SplitInfo:
    """Every one of these frames seen by every one of these cameras."""

    camera_ids: Sequence[int]
    frame_ids: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class CaptureInfo:
    """The capture that a run was fitted to."""

    name: str
    cameras: Sequence[CaptureCamera]
    num_frames: int
    splits: Mapping[str, SplitInfo]


@dataclass(frozen=True, kw_only=True)
class MotionInfo:
    """A motion that the page can ask for by ``id``."""

    id: str
    name: str
    num_frames: int
    frame_rate_hz: float


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Means over the images of a split by name of the metric; None where not computed."""

    split: str
    subject: str
    num_images: int
    means: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class LiveMessage:
    """What a running fit has written since the last time; first of all, which checkpoint is the newest."""

    kind: Literal["events", "checkpoint"]
    step: int
    events: Sequence[Mapping[str, int | float | str]] = ()


def as_json(value: Any) -> bytes:
    """Records, mappings, sequences and plain values as JSON: ASCII, and null for what is not finite."""
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
