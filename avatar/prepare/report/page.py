"""The page that shows where a prepared capture is weak: one file that needs nothing else."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import torch

from avatar.atomic import replacing
from avatar.body import load_body
from avatar.structs import Capture, Mesh

from ..observations import Findings, Observations
from .cards import anchor, camera_card
from .gauges import Gauge, camera_level, gauges, heights_px, worst_frames, worst_levels
from .pictures import Overlay, overlay
from .rig import rig_views, short_names
from .rows import bone_rows, heat_rows, signal_rows

MAX_PICTURES = 96  # all are in the page
MOST = 4  # worst pictures of a camera, and as many evenly spread
SIZED_BY = 12  # frames that say how large the person is

Shown = Mapping[int, Sequence[tuple[str, Overlay]]]
"""The pictures of each camera, with why they are shown."""


def write_report(findings: Findings, capture: Capture, folder: Path, observations: Observations | None = None) -> Path:
    """Write the page into ``folder``; returns the path of its ``index.html``.

    Args:
        findings: what was found out, camera by camera in the order of the capture.
        capture: what was prepared, best opened with the background of its pictures.
        observations: the same capture's landmarks, to be drawn on the pictures.

    Raises:
        ValueError: findings and capture have other cameras or another number of frames.
    """
    names = [camera.name for camera in findings.cameras]
    expected = capture.num_frames, [camera.name for camera in capture.cameras]
    if (len(findings.overlaps), names) != expected:
        raise ValueError(
            f"findings: expected {expected[0]} frames of {', '.join(expected[1])}, as in the capture, "
            f"got {len(findings.overlaps)} of {', '.join(names)}"
        )
    shaped = load_body(capture.rig).shaped(capture.shape)

    @cache
    def body(frame_id: int) -> Mesh:
        return Mesh(vertices=shaped.posed(capture.pose(frame_id)).vertices_world, faces=shaped.rest.faces)

    sized = [shaped.posed(capture.pose(frame)).joints_world for frame in spread(capture.num_frames, SIZED_BY)]
    found = gauges(findings, heights_px(capture.cameras, torch.stack(sized)))
    levels = camera_levels(findings, found)
    order = sorted(range(len(levels)), key=lambda camera: -levels[camera])
    shown = _pictures(findings, found, lambda frame, camera: overlay(capture, body(frame), frame, camera, observations))
    way = capture.poses.root_position_world
    sections = {
        "Cameras, worst first" if len(names) > 1 else "Camera": _cards(findings, found, order, shown),
        "Over time": _over_time(findings, found, order, shown),
        "Clocks": _clocks(findings, order),
        "The rig": rig_views(capture.cameras, short_names(names), levels, way, body(capture.num_frames // 2)),
        "Bones": _bones(findings),
    }
    return _write(folder / "index.html", findings.name, _header(findings, found, levels) + _sections(sections))


def spread(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` of ``count`` indices in the middles of equal parts."""
    wanted = min(count, wanted)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def camera_levels(findings: Findings, found: Sequence[Gauge]) -> list[float]:
    """How bad each camera is."""
    typical = [gauge.typical_levels().tolist() for gauge in found]
    return [
        camera_level(camera, len(findings.overlaps), [levels[index] for levels in typical])
        for index, camera in enumerate(findings.cameras)
    ]


def _write(index: Path, title: str, body: str) -> Path:
    template = Template(files("avatar.prepare.report").joinpath("page.html").read_text("utf-8"))
    theme = files("avatar").joinpath("theme.css").read_text("utf-8")
    with replacing(index) as temporary:
        temporary.write_text(template.substitute(title=escape(title), theme=theme, body=body), "utf-8")
    return index


def _sections(contents: Mapping[str, str]) -> str:
    """Those that have anything to show."""
    return "".join(f"<section><h2>{title}</h2>{content}</section>" for title, content in contents.items() if content)


def _pictures(findings: Findings, found: Sequence[Gauge], draw: Callable[[int, int], Overlay | None]) -> Shown:
    """Each camera's worst pictures, the worst first, and as many evenly spread over time."""
    count = max(1, min(MOST, MAX_PICTURES // (2 * len(findings.cameras))))
    levels = worst_levels(found, findings.overlaps)
    shown = {}
    for camera in range(len(findings.cameras)):
        worst = worst_frames(levels[:, camera], count)
        frames = {frame: "worst" for frame in worst} | {
            frame: "even" for frame in spread(len(levels), count) if frame not in worst
        }
        drawn = [(why, draw(frame, camera)) for frame, why in frames.items()]
        shown[camera] = [(why, picture) for why, picture in drawn if picture is not None]
    return shown


def _header(findings: Findings, found: Sequence[Gauge], levels: Sequence[float]) -> str:
    """Name, facts, the verdict with its reasons, and the figures that hold for all."""
    frames, cameras = findings.overlaps.shape
    facts = {
        "cameras": str(cameras),
        "time steps": f"{frames}, {findings.frame_rate_hz:g} a second, {frames / findings.frame_rate_hz:.1f} s",
        "calibration": "refined by the landmarks" if findings.is_refined else "as given",
    }
    lines = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in findings.warnings)
    tiles = "".join(_tile(gauge, [camera.name for camera in findings.cameras]) for gauge in found)
    return (
        f"<header><h1>{escape(findings.name)}</h1><dl>{lines}</dl>"
        f'{_verdict(findings, levels)}{f"<ol>{warnings}</ol>" if warnings else ""}<div class="tiles">{tiles}</div>'
        "</header>"
    )


def _verdict(findings: Findings, levels: Sequence[float]) -> str:
    """One line that says how much is weak."""
    count = len(findings.warnings)
    weak = [camera.name for camera, level in zip(findings.cameras, levels, strict=True) if level >= 1]
    if count:
        return f'<p class="verdict bad">{count} weak {"spot" if count == 1 else "spots, worst first"}</p>'
    if weak:
        return f'<p class="verdict bad">Look at {escape(", ".join(weak))}</p>'
    return '<p class="verdict good">Nothing weak was found</p>'


def _tile(gauge: Gauge, names: Sequence[str]) -> str:
    """The median of a gauge over all pictures, and its worst camera."""
    typical, levels = gauge.typical(), gauge.typical_levels().nan_to_num(nan=-1.0)
    middle, worst = float(gauge.values.nanmedian()), int(levels.argmax())
    aside = f"worst: {names[worst]}, {gauge.show(float(typical[worst]))}" if len(names) > 1 else "median"
    return (
        f'<div class="tile"><span>{gauge.title}</span><b>{gauge.show(middle)} <i>{gauge.unit}</i></b>'
        f"<span>{escape(aside)}</span></div>"
    )


def _cards(findings: Findings, found: Sequence[Gauge], order: Sequence[int], shown: Shown) -> str:
    """All cameras, and what the lines on their pictures mean, which can be hidden."""
    pictures = [picture for of_camera in shown.values() for _, picture in of_camera]
    layers = {"body": "fitted body", "mask": "mask"} if pictures else {}
    if any(picture.landmarks for picture in pictures):
        layers["marks"] = "landmarks: sure, unsure, doubtful"
    if any(picture.misses for picture in pictures):
        layers["misses"] = "to where all cameras together have them"
    boxes = "".join(
        f'<label><input type="checkbox" id="show-{layer}" checked><i class="{layer}"></i>{meaning}</label>'
        for layer, meaning in layers.items()
    )
    frames = len(findings.overlaps)
    cards = (camera_card(findings.cameras[camera], camera, frames, found, shown[camera]) for camera in order)
    return f'<div class="layers">{boxes}</div>{"".join(cards)}'


def _over_time(findings: Findings, found: Sequence[Gauge], order: Sequence[int], shown: Shown) -> str:
    """A heat map for every gauge."""
    names = [camera.name for camera in findings.cameras]
    linked = {(p.frame_id, p.camera_id): f"#{anchor(p.frame_id, p.camera_id)}" for i in shown for _, p in shown[i]}
    maps = (
        f'<div class="panel"><h3>{gauge.title}</h3><p class="note">{gauge.meaning}</p>'
        f"{heat_rows(gauge, names, order, findings.frame_rate_hz, linked)}</div>"
        for gauge in found
    )
    note = '<p class="note">The redder the worse, grey where nothing is known. Marks lead to the pictures above.</p>'
    return f'{note}<div class="maps">{"".join(maps)}</div>' if found else ""


def _clocks(findings: Findings, order: Sequence[int]) -> str:
    """The motion that cameras see, aligned."""
    if len(findings.signals) < 2:
        return ""
    cameras = findings.cameras
    rows = signal_rows(
        findings.signals,
        [camera.offset_s for camera in cameras],
        [camera.sync_confidence for camera in cameras],
        [camera.name for camera in cameras],
        order,
    )
    return (
        '<p class="note">How much the person moves in each camera, moved by the offset found, before the other '
        "cameras in grey; of a long take, where most happens. Where clocks are right, peaks coincide.</p>"
        f'<div class="panel">{rows}</div>'
    )


def _bones(findings: Findings) -> str:
    """Lengths that should not change, and should be alike on both sides."""
    if not findings.bones:
        return ""
    return (
        '<p class="note">Lengths between triangulated landmarks, left above right: the median, and how far they spread '
        f"over time. Long whiskers, or sides that differ, tell of landmarks or cameras that are wrong.</p>"
        f'<div class="panel">{bone_rows(findings.bones)}</div>'
    )
