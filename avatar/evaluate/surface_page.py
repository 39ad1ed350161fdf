"""The part of the report that says how far the surfaces are from the true ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.engine import MeshTree, closest_points
from avatar.structs import Capture, Mesh

from .gallery import slug
from .protocol import Report
from .surface_metrics import SURFACE_METRICS, seen_from_outside
from .surface_report import SurfaceReport
from .two_sides import two_sides

FULL_SCALE_M = 0.02
"""Distance behind or in front of the true surface that gets the deepest colour."""
BEHIND_RGB, ON_RGB, FRONT_RGB = (33, 102, 172), (236, 236, 233), (196, 48, 43)

# What each figure is called, its decimals, which way is better, and what it means.
SURFACE_COLUMNS: Mapping[str, tuple[str, int, str, str]] = {
    "chamfer_mm": ("Chamfer", 2, "↓", "mm, mean of the two one-sided mean distances"),
    "accuracy_mm": ("accuracy", 2, "↓", "mm, from points of the avatar's surface to the true one"),
    "completeness_mm": ("completeness", 2, "↓", "mm, from points of the true surface to the avatar's"),
    "f_5mm": ("F 5 mm", 3, "↑", "harmonic mean of the shares of both within 5 mm"),
    "f_10mm": ("F 10 mm", 3, "↑", "the same within 10 mm"),
    "normal_deg": ("normals", 1, "↓", "degrees between normals at closest points"),
    "normal_cosine": ("cosine", 3, "↑", "of that angle"),
    "iou": ("IoU", 3, "↑", "volume inside both over volume inside either"),
}


@torch.no_grad()
def with_picture(surface: SurfaceReport, capture: Capture, mesh_of: Callable[[int], Mesh]) -> SurfaceReport:
    """The same with a picture of its median frame, where there is anything to show."""
    frame_id = surface.median_frame()
    predicted, truth = mesh_of(frame_id), capture.load_surface(frame_id)
    if truth is None or not len(predicted.faces):
        return surface
    on_cpu = Mesh(vertices=predicted.vertices.cpu(), faces=predicted.faces.cpu())
    return replace(surface, picture=surface_picture(on_cpu, truth))


@torch.no_grad()
def surface_picture(predicted: Mesh, truth: Mesh) -> UInt8[np.ndarray, "h w 4"]:
    """The predicted surface from two sides, blue where it is behind what can be seen of the true one, red in front."""
    seen = seen_from_outside(truth)
    distances = closest_points(predicted.vertices, MeshTree(seen.faces, seen.vertices)).distances
    return two_sides(predicted, distances[:, None], _paint)


def _paint(distances: Float[Tensor, "n 1"]) -> np.ndarray:
    stops = np.array([BEHIND_RGB, ON_RGB, FRONT_RGB], float)[:, ::-1]
    places = (distances[:, 0] / FULL_SCALE_M).numpy()
    return np.stack([np.interp(places, (-1, 0, 1), stop) for stop in stops.T], 1)


def surface_section(reports: Sequence[Report], folder: Path) -> str:
    """The means of all splits that have them as HTML, a row each; their pictures go into ``folder``."""
    surfaces = {report.split: report.surface for report in reports if report.surface}
    if not surfaces:
        return ""
    heads = "".join(
        f'<th title="{escape(meaning)}">{name} <i>{better}</i></th>'
        for name, _, better, meaning in SURFACE_COLUMNS.values()
    )
    rows = "".join(_row(split, surface) for split, surface in surfaces.items())
    meanings = "; ".join(f"{name}: {meaning}" for name, _, _, meaning in SURFACE_COLUMNS.values())
    figures = "".join(_figure(split, surface, folder) for split, surface in surfaces.items())
    return (
        f'<div class="wide"><table><tr><th></th><th>frames</th>{heads}</tr>{rows}</table></div>'
        f'<p class="note">Means over frames, of what can be seen from outside. {escape(meanings)}.</p>'
        f'<div class="shapes">{figures}</div>'
    )


def _row(split: str, surface: SurfaceReport) -> str:
    means = ((surface.mean(metric), SURFACE_COLUMNS[metric][1]) for metric in SURFACE_METRICS)
    cells = "".join(f"<td>{'—' if mean is None else f'{mean:.{decimals}f}'}</td>" for mean, decimals in means)
    return f"<tr><th>{escape(split)}</th><td>{len(surface.frames)}</td>{cells}</tr>"


def _figure(split: str, surface: SurfaceReport, folder: Path) -> str:
    if surface.picture is None:
        return ""
    name = f"surface_{slug(split)}.png"
    (folder / name).write_bytes(cv2.imencode(".png", surface.picture)[1].tobytes())
    colours = ", ".join(f"rgb{rgb}" for rgb in (BEHIND_RGB, ON_RGB, FRONT_RGB))
    scale = f'<em style="background: linear-gradient(90deg, {colours})"></em>'
    reach = f"{1000 * FULL_SCALE_M:.0f} mm"
    return (
        f'<figure class="body"><img src="{name}" alt="the surface from two sides, coloured by its distance from the '
        f'true one" loading="lazy"><figcaption>{escape(split)}, frame {surface.median_frame()}: {reach} behind the '
        f"true surface {scale} {reach} in front of it</figcaption></figure>"
    )
