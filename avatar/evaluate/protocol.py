"""Judge renderings of one split of a capture against its pictures.

The protocol: whole pictures (never crops) of the person on black; the rendering clamped and rounded to 8 bits, as a
file of it would be; each metric per image, then its mean over the images that have it.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.atomic import replacing
from avatar.structs import Capture, Frame, Pose, Rendering

from . import metrics
from .lpips import MIN_SIDE_PX, Lpips, load_lpips
from .surface_report import SurfaceReport

logger = logging.getLogger(__name__)

METRICS = ("psnr", "psnr_box", "psnr_mask", "ssim", "ms_ssim", "flip", "lpips_alex", "lpips_vgg")
IMAGE_KEYS = ("frame_id", "camera_id", "camera", "seconds")
RenderFrame = Callable[[Frame], Rendering]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to measure.

    Attributes:
        lpips_vgg_max_images: LPIPS-VGG takes seconds an image on a CPU, so only this many images, evenly spread over
            the split, have it. LPIPS-Alex, where fetched, is measured on all.
    """

    lpips_vgg_max_images: int = 10

    def __post_init__(self) -> None:
        if self.lpips_vgg_max_images < 0:
            raise ValueError(f"lpips_vgg_max_images: expected 0 or more, got {self.lpips_vgg_max_images}")


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """The figures of one image: each of ``METRICS`` by name, None where not computed, and the seconds to render it."""

    frame_id: int
    camera_id: int
    camera: str
    seconds: float
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of one split.

    Attributes:
        subject, split: names of the capture and of the split.
        images: one row each.
        surface: how far the surfaces are from the true ones, or None where these are not known.
    """

    subject: str
    split: str
    images: tuple[ImageResult, ...]
    surface: SurfaceReport | None = None

    def mean(self, metric: str) -> float | None:
        """Mean of one of ``METRICS`` over the images that have it; None when none has."""
        values = [value for image in self.images if (value := image.metrics[metric]) is not None]
        return fmean(values) if values else None

    @property
    def seconds_per_image(self) -> float:
        """Median time to render one image (the first ones may pay for warming up)."""
        return median(image.seconds for image in self.images)

    def as_json(self) -> dict[str, object]:
        """The means and the figures of every image, ready for ``json``."""
        return {
            "subject": self.subject,
            "split": self.split,
            "num_images": len(self.images),
            **{metric: self.mean(metric) for metric in METRICS},
            "seconds_per_image": self.seconds_per_image,
            "surface": self.surface.as_json() if self.surface else None,
            "images": [{**{key: getattr(image, key) for key in IMAGE_KEYS}, **image.metrics} for image in self.images],
        }

    def write(self, path: Path) -> None:
        """Write ``as_json`` to a file, whole or not at all."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> "Report":
        """What ``write`` wrote. Raises FileNotFoundError, and ValueError when the file is something else."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            images = tuple(
                ImageResult(**{key: row.pop(key) for key in IMAGE_KEYS}, metrics={name: row[name] for name in METRICS})
                for row in stored["images"]
            )
            surface = SurfaceReport.from_json(stored["surface"]) if stored.get("surface") else None
            return cls(subject=stored["subject"], split=stored["split"], images=images, surface=surface)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: not the report of an evaluation ({error!r}); evaluate again") from error


def evaluate(
    capture: Capture,
    split_name: str,
    render_frame: RenderFrame,
    config: EvaluateConfig | None = None,
    on_image: Callable[[ImageResult], None] | None = None,
) -> Report:
    """Render every image of a split and measure it; ``on_image`` is told each result as it comes.

    Args:
        render_frame: the person in a frame's pose, seen by its camera, over black.

    Raises:
        ValueError: there is no such split, it is empty, or a rendering has the wrong size or is not finite.
    """
    config = config or EvaluateConfig()
    pairs = capture.split(split_name).pairs()
    if not pairs:
        raise ValueError(f"capture {capture.name!r}: split {split_name!r} has no images")
    alex, vgg = load_lpips("alex"), load_lpips("vgg")
    if alex is None or vgg is None:
        logger.warning("LPIPS: not computed (run 'avatar assets fetch lpips')")
    with_vgg = set(evenly_spread(len(pairs), config.lpips_vgg_max_images))
    images = []
    for index, (frame_id, camera_id) in enumerate(pairs):
        frame = capture.load_frame(frame_id, camera_id, False)
        prediction, seconds = render_quantised(frame, render_frame)
        nets = {"lpips_alex": alex, "lpips_vgg": vgg if index in with_vgg else None}
        images.append(
            ImageResult(
                frame_id=frame_id,
                camera_id=camera_id,
                camera=frame.camera.name,
                seconds=seconds,
                metrics=measure(prediction, frame, nets),
            )
        )
        if on_image:
            on_image(images[-1])
    return Report(subject=capture.name, split=split_name, images=tuple(images))


def pose_and_camera(frame: Frame, knows_frames: bool) -> tuple[Pose, str | None]:
    """Pose and name of the camera to show a frame with; both say nothing of the capture unless it is the fit's own.

    What an avatar has learnt of single poses and cameras counts for those that it recognises.
    """
    return (frame.pose, frame.camera.name) if knows_frames else (replace(frame.pose, frame_id=None), None)


@torch.no_grad()
def render_quantised(frame: Frame, render_frame: RenderFrame) -> tuple[Float[Tensor, "h w 3"], float]:
    """What an 8-bit file of the rendering would hold, and the seconds it took; else as ``rendered``."""
    rendering, seconds = rendered(frame, render_frame)
    return metrics.quantised(rendering.color.float()), seconds


@torch.no_grad()
def rendered(frame: Frame, render_frame: RenderFrame) -> tuple[Rendering, float]:
    """Colours and opacity on the CPU, and the seconds it took to render and fetch the colours.

    Raises ValueError when the rendering is not of the frame's size or not finite.
    """
    start = time.perf_counter()
    rendering = render_frame(frame)
    color = rendering.color.cpu()  # fetching it waits for a GPU to finish
    seconds = time.perf_counter() - start
    where = f"rendering of frame {frame.frame_id}, camera {frame.camera.name!r}"
    if color.shape != frame.image.shape:
        raise ValueError(f"{where}: expected shape {tuple(frame.image.shape)}, got {tuple(color.shape)}")
    if not color.isfinite().all():
        raise ValueError(f"{where}: expected finite colours, got {int((~color.isfinite()).sum())} that are not")
    return Rendering(color=color, alpha=rendering.alpha.cpu()), seconds


@torch.no_grad()
def measure(
    prediction: Float[Tensor, "h w 3"], frame: Frame, lpips: Mapping[str, Lpips | None]
) -> dict[str, float | None]:
    """All of ``METRICS`` of one quantised image; ``lpips`` has a net, or None to leave it out, for each LPIPS name."""
    truth, is_foreground = frame.image.cpu(), frame.is_foreground.cpu()
    fits = min(truth.shape[:2]) >= MIN_SIDE_PX
    return {
        "psnr": metrics.psnr(prediction, truth),
        "psnr_box": metrics.psnr_box(prediction, truth, is_foreground),
        "psnr_mask": metrics.psnr_mask(prediction, truth, is_foreground),
        "ssim": metrics.ssim(prediction, truth),
        "ms_ssim": metrics.ms_ssim(prediction, truth),
        "flip": metrics.flip(prediction, truth),
        **{name: float(net(prediction, truth)) if net and fits else None for name, net in lpips.items()},
    }


def evenly_spread(num_items: int, num_chosen: int) -> list[int]:
    """Indices of at most ``num_chosen`` of ``num_items`` items, ascending, from the first to the last."""
    count = min(num_items, num_chosen)
    return [i * (num_items - 1) // max(1, count - 1) for i in range(count)]
