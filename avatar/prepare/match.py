"""Which video is which calibrated camera's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from avatar.capture.calibrated_folder import camera_name
from avatar.capture.calibration import Calibration

from .sources import Source

RESERVED = ("mask", "prepare", "report", "surface")  # folders of a capture that are no camera's


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """Videos with their cameras.

    Attributes:
        pairs: in the order of the videos.
        warnings: who was left out and what was guessed, a sentence each.
    """

    pairs: tuple[tuple[Source, Calibration], ...]
    warnings: tuple[str, ...]


def match_cameras(sources: Sequence[Source], calibrations: Sequence[Calibration]) -> Match:
    """Videos and cameras paired by name: equal, then one inside the other, then of one number; else all by order.

    Letters count without case, other signs do not count; a number in a name is whole (``cam1`` is not in ``cam10``).
    Raises ValueError where several videos were given and fewer than two have a camera.
    """
    open_sources, open_cameras = list(sources), list(calibrations)
    pairs: dict[str, Calibration] = {}
    for are_alike in (_equal, _inside, _same_number):
        for source in list(open_sources):
            found = [each for each in open_cameras if are_alike(source.name, camera_name(each.name))]
            rivals = [each for each in open_sources if found and are_alike(each.name, camera_name(found[0].name))]
            if len(found) == len(rivals) == 1:
                pairs[source.name] = found[0]
                open_cameras.remove(found[0])
                open_sources.remove(source)
    warnings: list[str] = []
    if not pairs and len(sources) == len(calibrations):
        pairs = {source.name: each for source, each in zip(sources, calibrations, strict=True)}
        open_sources, open_cameras = [], []
        listed = ", ".join(f"{source.name} is {pairs[source.name].name}" for source in sources)
        if len(sources) > 1:
            warnings.append(f"No video is called like a camera, so they were paired by order ({listed}): rename them.")
    if len(pairs) < min(2, len(sources)):
        raise ValueError(
            f"videos {_listed([source.name for source in sources])} do not belong to the calibrated cameras "
            f"{_listed([each.name for each in calibrations])}; name each video like its camera"
        )
    warnings += [f"{each.name}: no camera of that name is calibrated; the video was left out." for each in open_sources]
    warnings += [f"{each.name}: no video of that name; the camera was left out." for each in open_cameras]
    return Match(
        pairs=tuple((source, pairs[source.name]) for source in sources if source.name in pairs),
        warnings=tuple(warnings),
    )


def folder_name(calibration: Calibration) -> str:
    """What the camera is called in a capture, where its pictures lie in a folder of that name."""
    name = re.sub(r"[^\w.-]+", "_", camera_name(calibration.name)).strip("._")
    return name if name and name.lower() not in RESERVED else f"camera_{name}"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _equal(left: str, right: str) -> bool:
    return bool(_plain(left)) and _plain(left) == _plain(right)


def _inside(left: str, right: str) -> bool:
    short, long = sorted((_plain(left), _plain(right)), key=len)
    before = r"(?<![0-9])" if short[:1].isdigit() else ""
    after = r"(?![0-9])" if short[-1:].isdigit() else ""
    return bool(short) and re.search(before + re.escape(short) + after, long) is not None


def _same_number(left: str, right: str) -> bool:
    numbers = [re.findall(r"[0-9]+", name) for name in (left, right)]
    return all(numbers) and int(numbers[0][-1]) == int(numbers[1][-1])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
