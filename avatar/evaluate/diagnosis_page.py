"""The part of the report that says why renderings are not sharper: sentences first, then the figures behind them."""

from html import escape
from pathlib import Path

import cv2
import numpy as np

from .body_parts import PARTS
from .cause import CauseConfig
from .causes import Findings
from .comparison import Comparison, listed, typical
from .coverage_picture import colour_scale, coverage_picture

EXPLAINED = {
    "shift": "px, how far pictures lie beside their renderings: median over frames, ± its spread",
    "scale": "above 1: the picture shows the person larger",
    "rim": "px, how much wider coverage is than the mask all around",
    "outside": "rendered beside the mask, of its area",
    "missing": "mask that is not covered, of its area",
    "brightness": "picture over rendering, red / green / blue",
    "gain, offset": "best gain and offset of the rendering, mean of channels",
    "detail": "fine detail of the rendering over that of the picture",
    "error": "share of all squared error",
}
IOU_RANGE = 0.05  # below the usual intersection over union: the deepest colour
SPILL_RANGE = 0.05  # naked body outside the mask: the deepest colour


def diagnosis_section(findings: Findings, folder: Path) -> str:
    """What was found on one split as HTML; the picture of the coverage goes into ``folder``."""
    comparison = Comparison(findings.diagnosis)
    causes = "".join(
        f'<li class="{cause.kind}"><b>{escape(cause.sentence)}</b><small>{_share(cause.kind, cause.share)} · '
        f"{escape(cause.evidence)}</small></li>"
        for cause in findings.causes
    )
    coverage = _coverage(findings, folder)
    tables = f"<h4>Cameras</h4>{_cameras(comparison)}<h4>Outlines, frame by frame</h4>{_frames(comparison)}"
    return (
        f'<div class="findings"><div><h3>{escape(findings.diagnosis.split)}</h3>'
        f"{f'<ol>{causes}</ol>' if causes else f'<p>{_all_well(comparison)}</p>'}{_summary(findings, comparison)}</div>"
        f"{coverage}</div><details><summary>Figures behind it</summary>{tables}</details>"
    )


def _share(kind: str, share: float) -> str:
    return f"{100 * share:.0f} % of the {'skin' if kind == 'coverage' else 'squared error'}"


def _all_well(comparison: Comparison) -> str:
    shifts = [np.hypot(*typical(comparison("alignment.shift_px")[:, c])[0]) for c in range(len(comparison.cameras))]
    most = max((shift for shift in shifts if np.isfinite(shift)), default=0.0)
    return (
        f"Nothing is wrong with cameras, masks, colours and poses: no camera is shifted by more than {most:.1f} "
        f"px, outlines agree in all frames, colours match. What error is left is on {_places(comparison)}: more steps "
        "may help there."
    )


def _summary(findings: Findings, comparison: Comparison) -> str:
    """Which pictures, and the figures that hold for all of them."""
    frames, cameras = len(comparison.frames), len(comparison.cameras)
    return (
        f'<p class="note">{frames} frames of {cameras} cameras looked at. Fine detail kept: '
        f"{100 * comparison.detail_ratio():.0f} %. Outlines, intersection over union: "
        f"{np.nanmedian(comparison('outline.iou')):.3f}. Most of the error is on {_places(comparison)}.</p>"
    )


def _places(comparison: Comparison) -> str:
    """The parts with the most of the squared error, and how much."""
    shares = np.nansum(comparison("parts.error"), (0, 1)) / comparison.total
    return listed([f"the {PARTS[i]} ({100 * shares[i]:.0f} %)" for i in np.argsort(-shares)[:3]])


def _coverage(findings: Findings, folder: Path) -> str:
    if findings.coverage is None:
        return ""
    (folder / "coverage.png").write_bytes(cv2.imencode(".png", coverage_picture(findings.coverage))[1].tobytes())
    return (
        '<figure class="body"><img src="coverage.png" alt="the body from the front and the back, coloured by how '
        'often it was seen" loading="lazy"><figcaption>Seen by the cameras, front and back: <span class="never">'
        f'never</span> ({100 * findings.coverage.unseen:.1f} % of the skin) <em style="background: '
        f'{colour_scale()}"></em> in {100 * findings.coverage.most:.0f} % of the pictures</figcaption></figure>'
    )


def _cameras(comparison: Comparison) -> str:
    """A row a camera."""
    heads = "".join(f'<th title="{escape(meaning)}">{name}</th>' for name, meaning in EXPLAINED.items())
    rows = "".join(_camera_row(comparison, index, name) for index, name in enumerate(comparison.cameras))
    notes = "; ".join(f"{name}: {meaning}" for name, meaning in EXPLAINED.items())
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{rows}</table></div><p class="note">{escape(notes)}.</p>'


def _camera_row(comparison: Comparison, index: int, name: str) -> str:
    limits = CauseConfig()

    def middle(figure: str) -> np.ndarray:
        return typical(comparison(figure)[:, index])[0]

    shift, spread = typical(comparison("alignment.shift_px")[:, index])
    detail = middle("detail_rendered")[0] / max(1e-9, middle("detail")[0])
    brightness = middle("colour.ratio")
    cells = [
        _cell(f"{shift[0]:+.2f}, {shift[1]:+.2f} ± {np.hypot(*spread):.2f}", np.hypot(*shift) / limits.shift_px),
        _cell(f"{middle('alignment.scale')[0]:.4f}", abs(middle("alignment.scale")[0] - 1) / limits.scale),
        _cell(f"{middle('outline.rim_px')[0]:+.2f}", abs(middle("outline.rim_px")[0]) / limits.rim_px),
        _cell(f"{100 * middle('outline.outside')[0]:.1f} %"),
        _cell(f"{100 * middle('outline.missing')[0]:.1f} %"),
        _cell(" / ".join(f"{b:.2f}" for b in brightness), np.abs(brightness - 1).max() / limits.brightness),
        _cell(f"{middle('colour.gain').mean():.2f}, {middle('colour.offset').mean():+.2f}"),
        _cell(f"{100 * detail:.0f} %", (1 - detail) / (1 - limits.detail) if detail < 1 else 0.0),
        _cell(f"{100 * np.nansum(comparison.error[:, index]) / comparison.total:.0f} %"),
    ]
    return f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>"


def _frames(comparison: Comparison) -> str:
    """Frames x cameras: intersection over union of coverage and mask, coloured by how far it is below the usual."""
    iou, spill = comparison("outline.iou"), np.nan_to_num(comparison("outline.body_outside")).mean(1)
    percents = 100 * comparison("outline.outside"), 100 * comparison("outline.missing")
    heats = (np.nanmedian(iou) - iou) / IOU_RANGE
    heads = "".join(f"<th>{escape(name)}</th>" for name in comparison.cameras)
    rows = ""
    for row, frame in enumerate(comparison.frames):
        rows += f"<tr><th>frame {frame}</th>"
        for value, heat, outside, missing in zip(iou[row], heats[row], *(side[row] for side in percents), strict=True):
            rows += _cell(f"{value:.3f}", float(heat), f"outside {outside:.1f} %, missing {missing:.1f} %")
        rows += f"{_cell(f'{100 * spill[row]:.1f} %', float(spill[row]) / SPILL_RANGE)}</tr>"
    return (
        f'<div class="wide"><table><tr><th></th>{heads}<th>body outside</th></tr>{rows}</table></div><p class="note">'
        "Intersection over union of rendered coverage and mask (point at one for what is outside and missing); body "
        "outside: naked body beside the mask, mean over cameras: a residual of the pose that no fit can hide.</p>"
    )


def _cell(text: str, heat: float = 0.0, hint: str = "") -> str:
    """A cell whose colour tells how bad it is: from 0, none, to 1 and above, as bad as a cause."""
    level = round(60 * float(np.clip(np.nan_to_num(heat), 0, 1.2)) ** 2)
    colour = f' style="--heat: {level}%"' if level > 2 else ""
    return f'<td{colour} title="{hint}">{text}</td>' if hint else f"<td{colour}>{text}</td>"
