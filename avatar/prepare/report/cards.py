"""A card for every camera: what was found out about it, and its pictures, the worst ones first."""

import math
from collections.abc import Sequence
from html import escape

from ..observations import CameraFindings
from ..pictures import MOVING
from .gauges import Gauge, is_unsure, number, percent, pixels, seconds
from .pictures import Overlay
from .rows import heat

Fact = tuple[str, str, float]
"""What a figure is called, the figure, and its level from 0 to 1."""


def camera_card(
    camera: CameraFindings,
    index: int,
    num_frames: int,
    found: Sequence[Gauge],
    pictures: Sequence[tuple[str, Overlay]],
) -> str:
    """Figures and pictures of one camera.

    Args:
        index: of the camera in the capture.
        num_frames: time steps of the capture.
        found: what is known of its pictures.
        pictures: each with why it is shown.
    """
    facts = [*_clock(camera), *_figures(camera, index, found), *_gaps(camera, num_frames)]
    lines = "".join(f"<div><dt>{name}</dt><dd{heat(level)}>{text}</dd></div>" for name, text, level in facts)
    notes = "".join(f"<li>{escape(note)}</li>" for note in camera.notes)
    shown = "".join(_figure(camera.name, why, each, found) for why, each in pictures)
    strip = f'<div class="strip">{shown}</div>' if shown else '<p class="note">No picture can be shown.</p>'
    return (
        f'<article class="panel camera-card"><div><h3>{escape(camera.name)}</h3><small>{escape(camera.video)}</small>'
        f"<dl>{lines}</dl>{f'<ul>{notes}</ul>' if notes else ''}</div>{strip}</article>"
    )


def anchor(frame_id: int, camera_id: int) -> str:
    """The name on the page of a picture."""
    return f"frame-{frame_id}-of-{camera_id}"


def _clock(camera: CameraFindings) -> list[Fact]:
    if math.isnan(camera.sync_confidence):
        return []
    text = f"{seconds(camera.offset_s)}<small>confidence {number(camera.sync_confidence, 2)}</small>"
    return [("clock", text, float(is_unsure(camera)))]


def _figures(camera: CameraFindings, index: int, found: Sequence[Gauge]) -> list[Fact]:
    """Medians of what is known of every picture, and what refinement did."""
    facts = []
    for gauge in found:
        value, level = float(gauge.typical()[index]), float(gauge.typical_levels()[index])
        if not math.isnan(value):
            facts.append((gauge.title, f"{gauge.show(value)} {gauge.unit}", level))
    if math.isfinite(camera.before_px) and camera.before_px != camera.after_px:
        facts.append(("calibration given → used", f"{pixels(camera.before_px)} → {pixels(camera.after_px)} px", 0.0))
    return facts


def _gaps(camera: CameraFindings, num_frames: int) -> list[Fact]:
    facts = [
        (name, f"{count} of {num_frames}", 2 * count / num_frames)
        for name, count in (("no picture", camera.missing), ("nobody found", camera.unseen))
        if count
    ]
    if not math.isnan(camera.unrest):
        facts.append(("scene that changes", percent(camera.unrest), camera.unrest / MOVING))
    return facts


def _figure(name: str, why: str, picture: Overlay, found: Sequence[Gauge]) -> str:
    """One picture with its lines and its worst figure."""
    frame, camera = picture.frame_id, picture.camera_id
    known = [gauge for gauge in found if float(gauge.levels[frame, camera]) >= 0]
    worst = max(known, key=lambda gauge: float(gauge.levels[frame, camera]), default=None)
    text, level = "nobody found", 0.0
    if worst is not None:
        text = f"{worst.show(float(worst.values[frame, camera]))} {worst.unit}"
        level = float(worst.levels[frame, camera])
    kinds = [("body", picture.body), ("mask", picture.mask), ("misses", picture.misses)]
    kinds += [(f"marks sure{kind}", marks) for kind, marks in enumerate(picture.landmarks)]
    lines = "".join(f'<path class="{kind}" d="{d}"/>' for kind, d in kinds if d)
    return (
        f'<figure class="picture {why}" id="{anchor(frame, camera)}"><a class="shot" href="#{anchor(frame, camera)}">'
        f'<img src="{picture.source}" alt="{escape(name)}, frame {frame}, with the outlines of body and mask" '
        f'width="{picture.width}" height="{picture.height}">'
        f'<svg viewBox="0 0 {picture.width} {picture.height}" aria-hidden="true">{lines}</svg></a>'
        f"<figcaption><span>frame {frame}</span> <b{heat(level)}>{text}</b></figcaption></figure>"
    )
