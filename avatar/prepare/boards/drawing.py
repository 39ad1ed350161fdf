"""A calibration as one picture: for each camera where corners were, how far off and how its lens bends; the rig from
above."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.atomic import replacing
from avatar.capture.calibration import Calibration

from .adjustment import rms_px
from .board import Board, corners_m
from .lens import project
from .lens_fit import LensFit, LensViews, lens_prior
from .rig_fit import RigFit

Picture = UInt8[ndarray, "h w 3"]
Colour = tuple[int, int, int]

SIDE: Final = 460  # of a panel
TITLE: Final = 44
COLUMNS: Final = 3
INK: Final[Colour] = (60, 50, 40)  # blue, green, red, as OpenCV draws
FAINT: Final[Colour] = (225, 220, 215)
LENS: Final[Colour] = (200, 140, 40)
RESIDUAL: Final[Colour] = (40, 40, 220)
CORNER: Final[Colour] = (170, 170, 160)
ARROW: Final = 0.02  # the usual residual is drawn so long, in panels
MOST_ARROWS: Final = 300


def draw_rig(path: Path, rig: RigFit) -> None:
    """Write a PNG, whole or not at all: a panel for each camera, and the rig from above.

    Grey points are corners, red lines their residuals enlarged as the panel says, the blue grid is what the lens makes
    of straight lines.
    """
    points_px = [np.concatenate([view.points_px for view in own]) for own in rig.views]
    panels = [_camera_panel(*each) for each in zip(rig.cameras, points_px, rig.residuals_px, strict=True)]
    _write_panels(path, [*panels, _rig_panel(rig)])


def draw_lenses(path: Path, lenses: Sequence[LensFit], board: Board) -> None:
    """The same of lenses alone."""
    panels = []
    for lens in lenses:
        size = lens.camera.size or (1, 1)
        views = LensViews(views=lens.views, corners=corners_m(board), prior=lens_prior(size, lens.camera.is_fisheye))
        residuals_px = views.adjusted(views.posed(lens.camera)).residuals_px[0]
        panels.append(_camera_panel(lens.camera, np.concatenate([view.points_px for view in lens.views]), residuals_px))
    _write_panels(path, panels)


def _write_panels(path: Path, panels: list[Picture]) -> None:
    columns = min(COLUMNS, len(panels))
    panels = [*panels, *[np.full_like(panels[0], 255)] * (-len(panels) % columns)]
    rows = [np.hstack(panels[start : start + columns]) for start in range(0, len(panels), columns)]
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _camera_panel(
    camera: Calibration, points_px: Float[ndarray, "n 2"], residuals_px: Float[ndarray, "n 2"]
) -> Picture:
    panel = np.full((SIDE + TITLE, SIDE, 3), 255, np.uint8)
    height, width = camera.size or (1, 1)
    scale = (SIDE - 20) / max(height, width)
    corner = np.array([(SIDE - scale * width) / 2, TITLE + (SIDE - scale * height) / 2])
    for line in _bent_grid(camera):
        _line(panel, corner + scale * line, LENS)
    for point in points_px:
        cv2.circle(panel, _pixel(corner + scale * point), 1, CORNER, -1, cv2.LINE_AA)
    usual = float(np.median(np.linalg.norm(residuals_px, axis=1))) if len(residuals_px) else 1.0
    factor = ARROW * SIDE / max(usual * scale, 1e-9)
    step = -(-len(points_px) // MOST_ARROWS) or 1
    for point, residual in zip(points_px[::step], residuals_px[::step], strict=True):
        _line(panel, corner + scale * np.stack([point, point + factor * residual]), RESIDUAL)
    _line(panel, corner + scale * np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]]), INK)
    focal, k1 = camera.intrinsics_px[0, 0], camera.distortion[0]
    _write(panel, f"{camera.name}  {width} x {height}", 1)
    about = f"rms {rms_px(residuals_px):.2f} px (red, x{factor:.0f})  focal {focal:.0f} px  k1 {k1:+.3f}"
    _write(panel, about, 2)
    return panel


def _bent_grid(camera: Calibration) -> list[Float[ndarray, "n 2"]]:
    """Lines that a pinhole would show straight, as far as they fill the picture's frame."""
    height, width = camera.size or (1, 1)
    pinhole = replace(camera, distortion=np.zeros_like(camera.distortion), is_fisheye=False)
    along, lines = np.linspace(0, 1, 33), []
    for share in np.linspace(0, 1, 9):
        for x, y in ((along, np.full(33, share)), (np.full(33, share), along)):
            pixels = np.stack([x * width, y * height], axis=1)
            slopes = (pixels - pinhole.intrinsics_px[:2, 2]) / pinhole.intrinsics_px[[0, 1], [0, 1]]
            bent = project(camera, np.column_stack([slopes, np.ones(33)]))[0]
            inside = ((bent > -0.02 * width) & (bent < 1.02 * np.array([width, height]))).all(axis=1)
            lines.append(bent[inside])
    return lines


def _rig_panel(rig: RigFit) -> Picture:
    """The world's x to the right and y up; cameras with what they look at, boards as points, a metre as a bar."""
    panel = np.full((SIDE + TITLE, SIDE, 3), 255, np.uint8)
    centres = np.stack([camera.centre_world[:2] for camera in rig.cameras])
    boards = rig.boards[:, :2, 3]
    low, high = (reach(np.concatenate([centres, boards]), axis=0) for reach in (np.min, np.max))
    middle, extent = (low + high) / 2, max(float((high - low).max()), 0.1)
    scale = 0.75 * SIDE / extent

    def place(points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        return np.array([SIDE / 2, TITLE + SIDE / 2]) + scale * (points - middle) * (1, -1)

    for point in place(boards):
        cv2.circle(panel, _pixel(point), 2, CORNER, -1, cv2.LINE_AA)
    for camera, centre in zip(rig.cameras, centres, strict=True):
        corners = np.array([[0, 0, 0], [-0.5, 0, 1], [0.5, 0, 1], [0, 0, 0]]) * 0.12 * extent
        seen = corners @ camera.camera_from_world[:3, :3] + camera.centre_world
        _line(panel, place(seen[:, :2]), LENS)
        x, y = _pixel(place(centre[None])[0])
        cv2.putText(panel, _plain(camera.name), (x + 5, y - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    unit = 10.0 ** np.floor(np.log10(extent))
    bar = np.array([[12.0, SIDE + TITLE - 12], [12.0 + scale * unit, SIDE + TITLE - 12]])
    _line(panel, bar, INK)
    _write(panel, f"from above: x right, y up; {len(boards)} boards (points)", 1)
    _write(panel, f"the bar is {unit:g} m; cameras stand {rig_heights(rig)} m high", 2)
    return panel


def rig_heights(rig: RigFit) -> str:
    """From the lowest to the highest camera."""
    heights = [camera.centre_world[2] for camera in rig.cameras]
    return f"{min(heights):.2f} to {max(heights):.2f}"


def _line(panel: Picture, points: Float[ndarray, "n 2"], colour: Colour) -> None:
    places = np.round(np.clip(points, -1e4, 1e4) * 16).astype(np.int32)
    cv2.polylines(panel, [places[:, None]], False, colour, 1, cv2.LINE_AA, shift=4)


def _pixel(point: Float[ndarray, "2"]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _write(panel: Picture, text: str, line: int) -> None:
    cv2.putText(panel, _plain(text), (10, 18 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    """What OpenCV's font can write."""
    return text.encode("ascii", "replace").decode()[:60]
