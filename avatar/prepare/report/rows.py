"""Rows of the page: a name, a track along time or length, a figure. They need no more room than a phone has."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..synchronise import MotionSignal
from ..timeline import TRUSTED
from ..triangulate import BoneLength
from .gauges import Gauge, number, seconds
from .pictures import path

COLUMNS = 400  # of a track, at most: pictures beyond that share one, which shows the worst
HEAT_RGB, NONE_RGB = (196, 48, 43), (128, 132, 140)
WINDOW_S = 12.0  # of the motion that is shown
UNEVEN_M = 0.03  # between a person's two sides
WIDTH, HEIGHT = 1000, 100  # a track's own units


def heat_rows(
    gauge: Gauge,
    names: Sequence[str],
    order: Sequence[int],
    frame_rate_hz: float,
    pictures: Mapping[tuple[int, int], str],
) -> str:
    """A row a camera, whose colour tells each picture's level, with links to those of the ``pictures`` that are bad.

    Args:
        names: of the cameras.
        order: in which they are shown.
        pictures: address of the picture of a (frame, camera).
    """
    typical, levels = gauge.typical().tolist(), gauge.typical_levels().tolist()
    rows = []
    for camera in order:
        links = [
            f'<a href="{where}" style="left:{100 * (frame + 0.5) / len(gauge.values):.2f}%" '
            f'aria-label="frame {frame}" title="frame {frame}: {gauge.show(float(gauge.values[frame, camera]))}"></a>'
            for (frame, of), where in pictures.items()
            if of == camera and float(gauge.levels[frame, camera]) >= 0.5
        ]
        track = _heat_track(gauge, camera, escape(names[camera])) + "".join(links)
        rows.append(row(escape(names[camera]), track, gauge.show(typical[camera]), levels[camera]))
    return f'<div class="rows">{"".join(rows)}{_axis(0.0, len(gauge.values) / frame_rate_hz)}</div>'


def row(name: str, track: str, figure: str, level: float = 0.0, kind: str = "") -> str:
    """One row; the higher the level, from 0 to 1, the redder its figure. Everything is HTML already."""
    return (
        f'<div class="row {kind}"><span>{name}</span><div class="track">{track}</div><b{heat(level)}>{figure}</b></div>'
    )


def heat(level: float) -> str:
    """The attribute that colours what is bad; nothing for what is not, or not known."""
    return f' style="--heat: {round(55 * min(1.1, level) ** 2)}%"' if level > 0.4 else ""


def _heat_track(gauge: Gauge, camera: int, name: str) -> str:
    """One pixel a picture, or a few pictures where there are many."""
    values, levels = gauge.values[:, camera], gauge.levels[:, camera]
    bins = np.array_split(np.arange(len(levels)), min(COLUMNS, len(levels)))
    worst = [int(each[int(levels[each].nan_to_num(nan=-1.0).argmax())]) for each in bins]
    texts = [f"{frame}: {gauge.show(float(values[frame]))}" for frame in worst]
    source = b64encode(cv2.imencode(".png", _heat_pixels(levels[worst]))[1].tobytes()).decode()
    return (
        f'<img class="heat" src="data:image/png;base64,{source}" alt="{escape(gauge.title)}, {name}, over time" '
        f'data-texts="{escape(json.dumps(texts))}">'
    )


def _heat_pixels(levels: Float[Tensor, " f"]) -> UInt8[np.ndarray, "1 f 4"]:
    """Red, the more opaque the worse; a thin grey where nothing is known. BGR and opacity."""
    is_known = levels.isnan().logical_not().numpy()
    pixels = np.zeros((1, len(levels), 4), np.uint8)
    pixels[..., :3] = np.where(is_known[:, None], HEAT_RGB[::-1], NONE_RGB[::-1])
    opacity = 0.06 + 0.94 * levels.nan_to_num(posinf=1.0).clamp(0, 1).numpy() ** 2
    pixels[..., 3] = (255 * np.where(is_known, opacity, 0.45)).astype(np.uint8)
    return pixels


def _axis(start_s: float, end_s: float) -> str:
    """Times along the tracks above."""
    times = "".join(f"<span>{number(start_s + (end_s - start_s) * share, 1)} s</span>" for share in (0, 0.5, 1))
    return row("", f'<div class="times">{times}</div>', "", kind="axis")


def signal_rows(
    signals: Sequence[MotionSignal],
    offsets_s: Sequence[float],
    confidences: Sequence[float],
    names: Sequence[str],
    order: Sequence[int],
) -> str:
    """A row a camera: how much moves in it, on the first one's clock, before the median of all others."""
    times, curves = aligned(signals, offsets_s)
    window = _liveliest(curves, round(WINDOW_S / float(times[1] - times[0])))
    times, curves = times[window], curves[:, window]
    known = curves[np.isfinite(curves)]
    curves = (curves - known.min()) / max(1e-9, float(np.ptp(known))) if len(known) else curves
    rows = []
    for camera in order:
        others = _median(np.delete(curves, camera, axis=0))
        lines = f'<path class="others" d="{_curve(others)}"/><path d="{_curve(curves[camera])}"/>'
        confidence = confidences[camera]
        figure = f"{seconds(offsets_s[camera])}<small>confidence {number(confidence, 2)}</small>"
        track = (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="motion in '
            f'{escape(names[camera])} and in the others">{lines}</svg>'
        )
        rows.append(row(escape(names[camera]), track, figure, float(confidence < TRUSTED), "signal"))
    return f'<div class="rows">{"".join(rows)}{_axis(float(times[0]), float(times[-1]))}</div>'


def aligned(
    signals: Sequence[MotionSignal], offsets_s: Sequence[float]
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, "c f"]]:
    """All cameras' motion at common times of the first one's clock, as a share of its usual strength; NaN outside.

    Motion is the mean, over what is known, of the size of all that a signal holds. An offset that is not known is zero.
    """
    moved_s = [signal.times_s + np.nan_to_num(offset) for signal, offset in zip(signals, offsets_s, strict=True)]
    step = 1 / max(signal.rate_hz for signal in signals)
    times = np.arange(min(each[0] for each in moved_s), max(each[-1] for each in moved_s) + step / 2, step)
    curves = np.full((len(signals), len(times)), np.nan)
    for curve, signal, own_times in zip(curves, signals, moved_s, strict=True):
        known = np.isfinite(signal.values)
        sizes = np.where(known, np.abs(signal.values), 0).sum(axis=1) / known.sum(axis=1).clip(1)
        strength = sizes[known.any(axis=1)].mean() if known.any() else 1.0
        sizes = np.where(known.any(axis=1), sizes, np.nan) / max(strength, 1e-9)
        curve[:] = np.interp(times, own_times, sizes, left=np.nan, right=np.nan)
    return times, curves


def _median(curves: Float[np.ndarray, "c f"]) -> Float[np.ndarray, " f"]:
    return torch.from_numpy(curves).nanmedian(dim=0).values.numpy()


def _liveliest(curves: Float[np.ndarray, "c f"], length: int) -> slice:
    """The part in which most is going on that most cameras know of."""
    if curves.shape[1] <= length:
        return slice(None)
    changes = np.abs(np.diff(np.nan_to_num(curves), axis=1)).sum(axis=0)
    start = int(np.convolve(changes, np.ones(length - 1), mode="valid").argmax())
    return slice(start, start + length)


def _curve(values: Float[np.ndarray, " f"]) -> str:
    """Roots of values from 0 to 1 along a track, so that small peaks show, with gaps where they are not known."""
    xs = np.linspace(0, WIDTH, len(values))
    points = np.stack([xs, HEIGHT * (0.96 - 0.92 * np.sqrt(values))], axis=1)
    gaps = np.flatnonzero(np.diff(np.isfinite(values).astype(int))) + 1
    return "".join(path(part, "") for part in np.split(points, gaps) if len(part) > 1 and np.isfinite(part).all())


def bone_rows(bones: Sequence[BoneLength]) -> str:
    """A row for every bone, the left and the right one together."""
    longest = max(bone.metres + bone.spread_m for bone in bones)
    rows = []
    for name, sides in both_sides(bones).items():
        bars = "".join(_bar(bone, longest) for bone in sides)
        lengths = [bone.metres for bone in sides]
        uneven = max(lengths) - min(lengths)
        figure = " | ".join(number(100 * length, 1) for length in lengths) + " cm"
        figure += f"<small>sides differ by {100 * uneven:.1f} cm</small>" if uneven > UNEVEN_M else ""
        rows.append(row(escape(name), bars, figure, float(uneven > UNEVEN_M), "bone"))
    return f'<div class="rows">{"".join(rows)}</div>'


def both_sides(bones: Sequence[BoneLength]) -> dict[str, list[BoneLength]]:
    """Bones by what they are called on either side."""
    pairs: dict[str, list[BoneLength]] = {}
    for bone in bones:
        name = bone.name.replace("left_", "").replace("right_", "")
        start, _, end = name.partition(" to ")
        pairs.setdefault(f"{start} to {start}" if start == end else name, []).append(bone)
    return pairs


def _bar(bone: BoneLength, longest: float) -> str:
    """A length with its spread to both sides."""
    length, spread = 100 * bone.metres / longest, 100 * bone.spread_m / longest
    return (
        f'<div class="bar" title="{escape(bone.name)}: {number(100 * bone.metres, 1)} ± '
        f'{number(100 * bone.spread_m, 1)} cm"><i style="width:{length:.2f}%"></i>'
        f'<em style="left:{max(0.0, length - spread):.2f}%;width:{2 * spread:.2f}%"></em></div>'
    )
