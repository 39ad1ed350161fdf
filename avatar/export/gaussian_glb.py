"""3D Gaussians as binary glTF with ``KHR_gaussian_splatting`` (release candidate); elsewhere a cloud of points."""

from pathlib import Path

import numpy as np
import torch

from avatar.geometry import SH_C0
from avatar.structs import Gaussians

from .axes import storable
from .glb import VERTICES, GlbWriter

EXTENSION = "KHR_gaussian_splatting"
POINTS = 0  # the mode of a primitive


def write_gaussian_glb(path: Path, gaussians: Gaussians, source: str) -> None:
    """Write Gaussians in the axes that they are in, which glTF wants y up; whole or not at all.

    Colour is sRGB as trained. Programs without the extension show points of the constant colour. Raises ValueError for
    no Gaussians, and where a value is not finite.
    """
    scene = storable(path, gaussians)
    if not len(scene.means):
        raise ValueError(f"{path}: expected Gaussians, got none; nothing was written")
    file = GlbWriter({"source": source, "axes": "x right, y up, z forward of the person", "unit": "metre"})
    colors = torch.cat([scene.sh[:, 0] * SH_C0 + 0.5, scene.opacities[:, None]], 1).clamp(0, 1)
    attributes = {
        "POSITION": file.add_array(scene.means.numpy(), target=VERTICES, with_bounds=True),
        "COLOR_0": file.add_array(_linear_light(colors).numpy(), target=VERTICES),
        f"{EXTENSION}:ROTATION": file.add_array(scene.quats[:, [1, 2, 3, 0]].numpy(), target=VERTICES),
        f"{EXTENSION}:SCALE": file.add_array(scene.scales.numpy(), target=VERTICES),
        f"{EXTENSION}:OPACITY": file.add_array(scene.opacities.clamp(0, 1).numpy(), target=VERTICES),
    }
    for index, (degree, order) in enumerate(_harmonics(scene.sh.shape[1])):
        name = f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"
        attributes[name] = file.add_array(np.ascontiguousarray(scene.sh[:, index].numpy()), target=VERTICES)
    look = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {"attributes": attributes, "mode": POINTS, "extensions": {EXTENSION: look}}
    mesh = file.add("meshes", {"name": "person", "primitives": [primitive]})
    file.add("scenes", {"nodes": [file.add("nodes", {"name": "person", "mesh": mesh})]})
    file.json["extensionsUsed"] = [EXTENSION]
    file.write(path)


def _harmonics(count: int) -> list[tuple[int, int]]:
    """Degree and order of each of the first ``count``, 1, 4, 9 or 16."""
    return [(degree, order) for degree in range(4) for order in range(2 * degree + 1)][:count]


def _linear_light(colors: torch.Tensor) -> torch.Tensor:
    """COLOR_0 is linear in light; the opacity, last, stays."""
    light = torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return torch.cat([light[:, :3], colors[:, 3:]], 1)
