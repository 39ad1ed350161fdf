"""The body from the front and from the back, coloured by how often it was seen."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from .coverage import Coverage
from .two_sides import two_sides

UNSEEN_BGR = (60, 66, 214)
COLOURS = cv2.COLORMAP_VIRIDIS  # from the fewest views to the most


def coverage_picture(coverage: Coverage) -> UInt8[np.ndarray, "h w 4"]:
    """Front and back side by side, BGR and opacity; the colours are those of ``colour_scale``, red where never seen."""

    def paint(values: Float[Tensor, "n 2"]) -> np.ndarray:
        share, unseen = values.unbind(-1)
        level = (255 * (share / coverage.most).clamp(0, 1)).byte().numpy()[:, None]
        colours = cv2.applyColorMap(level, COLOURS)[:, 0].astype(np.float32)
        colours[(unseen > 0.5).numpy()] = UNSEEN_BGR
        return colours

    return two_sides(coverage.template, torch.stack([coverage.share, (coverage.num_cameras == 0).float()], -1), paint)


def colour_scale() -> str:
    """The colours from seen least to seen most, as CSS."""
    stops = cv2.applyColorMap(np.linspace(0, 255, 7).astype(np.uint8)[:, None], COLOURS)[:, 0, ::-1]
    return f"linear-gradient(90deg, {', '.join(f'rgb({r} {g} {b})' for r, g, b in stops.tolist())})"
