"""The pictures worth a look: which images of a split, and the files that show them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from avatar.structs import Box, Capture, Frame

from .metrics import foreground_box
from .protocol import ImageResult, RenderFrame, Report, evenly_spread, render_quantised

ERROR_FULL_SCALE = 0.25  # absolute error, mean over channels, that gets the brightest colour
MARGIN_PX = 12
ENLARGED = 3  # times, close-ups


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One image of a split beside its rendering.

    Attributes:
        split: the split's name.
        label: why it was chosen: worst, median, best, or nothing for the others.
        result: its figures.
        truth, prediction: sRGB in [0, 1], the person on black.
        is_foreground: true where the person is in ``truth``.
        normals: the clothed surface as a normal map, or None.
        details: rectangles worth a closer look, by what they show.
    """

    split: str
    label: str
    result: ImageResult
    truth: Float[Tensor, "h w 3"]
    prediction: Float[Tensor, "h w 3"]
    is_foreground: Bool[Tensor, "h w"]
    normals: Float[Tensor, "h w 3"] | None = None
    details: Mapping[str, Box] = field(default_factory=dict)


def choose(report: Report, count: int) -> dict[int, str]:
    """Index and label of ``count`` images by PSNR in the box: worst, median, best, then others evenly spread."""
    order = sorted(range(len(report.images)), key=lambda i: report.images[i].metrics["psnr_box"] or 0.0)
    chosen = {order[0]: "worst", order[len(order) // 2]: "median", order[-1]: "best"}
    chosen = dict(list(chosen.items())[:count])
    others = [i for i in range(len(order)) if i not in chosen]
    return chosen | {others[i]: "" for i in evenly_spread(len(others), count - len(chosen))}


def collect_examples(
    capture: Capture,
    report: Report,
    render_frame: RenderFrame,
    count: int = 6,
    draw_normals: Callable[[Frame], Float[Tensor, "h w 3"]] | None = None,
) -> tuple[Example, ...]:
    """Render once more the images of a report that ``choose`` picks, and draw the clothed surface of each."""
    examples = []
    for index, label in choose(report, count).items():
        result = report.images[index]
        frame = capture.load_frame(result.frame_id, result.camera_id, False)
        prediction, _ = render_quantised(frame, render_frame)
        examples.append(
            Example(
                split=report.split,
                label=label,
                result=result,
                truth=frame.image.cpu(),
                prediction=prediction,
                is_foreground=frame.is_foreground.cpu(),
                normals=None if draw_normals is None else draw_normals(frame).cpu(),
            )
        )
    return tuple(examples)


def save_pictures(
    folder: Path, stem: str, example: Example, cut: Box | None = None, enlarged: int = 1
) -> dict[str, str]:
    """Write truth, render, error, any normals as PNG, ``cut`` out or cut to what is worth seeing; gives their names."""
    error = (example.prediction - example.truth).abs().mean(-1)
    box = None if cut else foreground_box(example.is_foreground | (error > ERROR_FULL_SCALE / 2))
    cut = box.padded(MARGIN_PX, *error.shape) if box else cut
    pictures = {"truth": _bgr(example.truth), "render": _bgr(example.prediction), "error": _heat(error)}
    if example.normals is not None:
        pictures["normals"] = _bgr(example.normals)
    names = {}
    for kind, picture in pictures.items():
        if cut:
            picture = picture[cut.top : cut.bottom, cut.left : cut.right]
        if enlarged > 1:
            picture = cv2.resize(picture, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        names[kind] = f"{stem}_{kind}.png"
        (folder / names[kind]).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return names


def error_gradient() -> str:
    """The colours of the error pictures, from none to ``ERROR_FULL_SCALE``, as CSS."""
    stops = cv2.applyColorMap(np.linspace(0, 255, 9).astype(np.uint8)[:, None], cv2.COLORMAP_MAGMA)[:, 0, ::-1]
    return f"linear-gradient(90deg, {', '.join(f'rgb({r} {g} {b})' for r, g, b in stops)})"


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


def _bgr(image: Float[Tensor, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (image * 255).round().byte().flip(-1).numpy()


def _heat(error: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    level = (error / ERROR_FULL_SCALE).clamp(0, 1).mul(255).round().byte().numpy()
    return np.asarray(cv2.applyColorMap(level, cv2.COLORMAP_MAGMA), dtype=np.uint8)
