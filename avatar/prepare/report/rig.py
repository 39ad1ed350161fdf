"""The cameras, what they look at and where the person goes, from above and from the side, as SVG."""

from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import rasterize_mesh
from avatar.structs import Camera, Mesh

from .pictures import outline, path

WIDTH = 440  # units of the drawing; a phone shows nearly as many pixels
MARGIN = 34
MAX_HEIGHT = 440
LETTER, LINE, DOT = 7, 13, 6  # room that names and cameras take
LONGEST_NAME = 24
FINE = 3  # pixels a unit, for outlines
GRID_M = (0.5, 1, 2, 5, 10, 20, 50, 100)


def rig_views(
    cameras: Sequence[Camera],
    names: Sequence[str],
    levels: Sequence[float],
    path_world: Float[Tensor, "f 3"],
    surface: Mesh,
) -> str:
    """Two figures: from above, and from the side that shows the rig widest.

    Args:
        names: of the cameras, as they are written beside them.
        levels: how bad each camera is, 1 and more plainly so.
        path_world: where the person's root goes.
        surface: the person at one time, world.
    """
    centres = torch.stack([camera.centre_world for camera in cameras]).double().numpy()
    way = path_world[path_world.isfinite().all(dim=1)].double().numpy()
    shown = surface.vertices[surface.vertices.isfinite().all(dim=1)].double().numpy()
    target = way.mean(axis=0) if len(way) else centres.mean(axis=0)
    views = [_frustum(camera, centre, target) for camera, centre in zip(cameras, centres, strict=True)]
    extents = np.ptp(np.concatenate([centres, way]), axis=0)
    figures = []
    for title, axes in (("from above", (0, 1)), ("from the side", (int(extents[1] > extents[0]), 2))):
        plane = _Plane(axes, np.concatenate([centres, way, shown]))
        drawn = [_camera(plane(view), level) for view, level in zip(views, levels, strict=True)]
        labels = _labels([plane(view) for view in views], names)
        figures.append(plane.figure(title, "".join([*drawn, _person(plane, surface, way), labels])))
    return f'<div class="rig" style="--field: {min(0.07, 0.5 / len(cameras)):.3f}">{"".join(figures)}</div>'


class _Plane:
    """Two axes of the world laid on a drawing, the second one upwards."""

    def __init__(self, axes: tuple[int, int], points: Float[np.ndarray, "n 3"]) -> None:
        self.axes = list(axes)
        self.low, high = points[:, self.axes].min(axis=0), points[:, self.axes].max(axis=0)
        extent = np.maximum(high - self.low, 0.5)
        self.scale = min((WIDTH - 2 * MARGIN) / extent[0], (MAX_HEIGHT - 2 * MARGIN) / extent[1])
        self.size = (float(WIDTH), float(self.scale * extent[1] + 2 * MARGIN))
        self.left = (WIDTH - self.scale * (high - self.low)[0]) / 2

    def __call__(self, points_world: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Where points are drawn."""
        flat = (points_world[:, self.axes] - self.low) * self.scale
        return np.stack([self.left + flat[:, 0], self.size[1] - MARGIN - flat[:, 1]], axis=1)

    def figure(self, title: str, drawn: str) -> str:
        """All of it, with a length to compare with."""
        metres = next((each for each in GRID_M if each * self.scale > 50), GRID_M[-1])
        y = self.size[1] - 10
        ruler = (
            f'<path class="ruler" d="M12 {y:.1f}h{metres * self.scale:.1f}"/><text class="start" x="12" '
            f'y="{y - 5:.1f}">{metres:g} m</text>'
        )
        return (
            f'<figure class="panel"><svg viewBox="0 0 {self.size[0]:.0f} {self.size[1]:.0f}" role="img" '
            f'aria-label="cameras and the person\'s way {title}">{drawn}{ruler}</svg>'
            f"<figcaption>{title}</figcaption></figure>"
        )


def _frustum(
    camera: Camera, centre: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "5 3"]:
    """The camera's centre, and the corners of its picture as far away as the person."""
    width, height = float(camera.width), float(camera.height)
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    rays = corners @ np.linalg.inv(camera.intrinsics_px.double().numpy()).T
    rotation = camera.camera_from_world[:3, :3].double().numpy()
    depth = max(0.2, float((rotation @ (target - centre))[2]))
    return np.concatenate([centre[None], centre + depth * rays @ rotation])


def _camera(corners: Float[np.ndarray, "5 2"], level: float) -> str:
    """Field of view and a dot."""
    field = cv2.convexHull(corners.astype(np.float32))[:, 0]
    x, y = corners[0]
    kind = "camera weak" if level >= 1 else "camera"
    return f'<g class="{kind}"><path d="{path(field)}"/><circle r="5" cx="{x:.1f}" cy="{y:.1f}"/></g>'


def _labels(views: Sequence[Float[np.ndarray, "5 2"]], names: Sequence[str]) -> str:
    """The cameras' names above or below them, where they hide neither a camera nor another name."""
    taken = [(float(corners[0, 0]), float(corners[0, 1]), float(DOT), float(DOT)) for corners in views]
    texts = []
    for corners, name in zip(views, names, strict=True):
        name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        half = LETTER * len(name) / 2
        x = float(np.clip(corners[0, 0], half + 4, WIDTH - half - 4))
        sign = 1 if corners[0, 1] > corners[1:, 1].mean() else -1
        steps = (corners[0, 1] + sign * (LINE + LINE * step / 4) for step in range(60))
        free = (
            y for y in steps if all(abs(x - at) >= half + w or abs(y - row) >= LINE / 2 + h for at, row, w, h in taken)
        )
        y = next(free, float(corners[0, 1]))
        taken.append((x, y, half, LINE / 2))
        texts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
    return "".join(texts)


def _person(plane: _Plane, surface: Mesh, way: Float[np.ndarray, "f 3"]) -> str:
    """The person's outline at one time, and the way of the root from its start."""
    pixels = torch.from_numpy(FINE * plane(surface.vertices.double().numpy()))
    height, width = (int(FINE * side) for side in reversed(plane.size))
    is_person = rasterize_mesh(pixels, torch.ones(len(pixels)).to(pixels), surface.faces, height, width).triangles >= 0
    drawn = f'<path class="person" transform="scale({1 / FINE:.4f})" d="{outline(is_person)}"/>'
    if len(way):
        x, y = plane(way[:1])[0]
        drawn += f'<path class="way" d="{path(plane(way), "")}"/><circle class="way" r="3" cx="{x:.1f}" cy="{y:.1f}"/>'
    return drawn


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what they all begin with, where there are so many that they would hide each other."""
    if len(names) <= 8:
        return list(names)
    begin = 0
    while all(len(name) > begin + 1 and name[begin] == names[0][begin] for name in names):
        begin += 1
    return [name[begin:] for name in names]
