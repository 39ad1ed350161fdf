"""Judge an avatar by a protocol: one part of one subject."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.assets import LpipsNet
from avatar.atomic import replacing
from avatar.structs import Capture, Frame, Split

from ..lpips import load_lpips
from ..protocol import RenderFrame, rendered
from .prepared import Nets, figures, prepare
from .protocol import LpipsOf, Protocol
from .rigs import sparse_parts

logger = logging.getLogger(__name__)

VerticesOf = Callable[[Frame], Float[Tensor, "v 3"]]


@dataclass(frozen=True, kw_only=True)
class ProtocolImage:
    """The figures of one image by name; None where not computed."""

    frame_id: int
    camera_id: int
    figures: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class ProtocolReport:
    """The figures of one part of one subject under one protocol.

    Attributes:
        protocol, subject, part: names.
        is_by_frame: as in ``Protocol``.
        images: one row each; at least one.
    """

    protocol: str
    subject: str
    part: str
    is_by_frame: bool
    images: tuple[ProtocolImage, ...]

    def mean(self, measure: str) -> float | None:
        """The mean as the protocol takes it, over images that have the figure; None when none has."""
        scenes: dict[int, list[float]] = {}
        for image in self.images:
            if (value := image.figures[measure]) is not None:
                scenes.setdefault(image.frame_id if self.is_by_frame else 0, []).append(value)
        return fmean(map(fmean, scenes.values())) if scenes else None

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        means = {measure: self.mean(measure) for measure in self.images[0].figures}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self) | {"mean": means}, indent=1, allow_nan=False) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> "ProtocolReport":
        """What ``write`` wrote. Raises FileNotFoundError, and ValueError when the file is something else."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            images = tuple(ProtocolImage(**row) for row in stored["images"])
            names = {key: stored[key] for key in ("protocol", "subject", "part", "is_by_frame")}
            return cls(**names, images=images)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: not the figures of a protocol ({error!r}); evaluate again") from error


def parts_of(protocol: Protocol, capture: Capture) -> Mapping[str, Split]:
    """The protocol's parts of a capture: ``train`` and what is tested.

    Raises ValueError for a capture that the protocol does not know, or that lacks cameras or time steps of it.
    """
    if protocol.num_views is not None:
        return sparse_parts(capture, protocol.num_views)
    if capture.name not in protocol.subjects:
        known = ", ".join(protocol.subjects)
        raise ValueError(f"{protocol.name}: expected one of the captures {known}, got {capture.name!r}")
    parts = protocol.subjects[capture.name]
    for part in parts.values():
        frames, cameras = max(part.frame_ids) + 1, max(part.camera_ids) + 1
        if frames > capture.num_frames or cameras > len(capture.cameras):
            raise ValueError(
                f"{protocol.name}: {part.name} of {capture.name!r} takes {frames} time steps and {cameras} cameras, "
                f"the capture has {capture.num_frames} and {len(capture.cameras)}; restore it"
            )
    return parts


@torch.no_grad()
def judge(
    protocol: Protocol,
    capture: Capture,
    part: str,
    render_frame: RenderFrame,
    vertices_of: VerticesOf,
    on_image: Callable[[ProtocolImage], None] | None = None,
) -> ProtocolReport:
    """Render every image of a part and measure it; ``on_image`` is told each as it comes.

    Args:
        capture: read with its background, and with the masks that ``protocol.picture`` asks for.
        render_frame: the person in a frame's pose, seen by its camera, over black.
        vertices_of: the body's vertices in a frame, world metres; asked only by protocols with a box.

    Raises ValueError as ``parts_of``, for a part that there is not, and as ``prepare`` and ``rendered``.
    """
    parts = parts_of(protocol, capture)
    tested = [name for name in parts if name != "train"]
    if part not in tested:
        raise ValueError(f"{protocol.name}: no part {part!r} of {capture.name!r}; it tests {', '.join(tested)}")
    nets = _nets(protocol)
    images = []
    for frame_id, camera_id in parts[part].pairs():
        frame = capture.load_frame(frame_id, camera_id, False)
        truth = prepare(protocol, frame, vertices_of(frame) if protocol.box_padding_m else None)
        rendering, _ = rendered(truth.frame, render_frame)
        row = figures(protocol, truth, rendering, nets)
        images.append(ProtocolImage(frame_id=frame_id, camera_id=camera_id, figures=row))
        if on_image:
            on_image(images[-1])
    return ProtocolReport(
        protocol=protocol.name,
        subject=capture.name,
        part=part,
        is_by_frame=protocol.is_by_frame,
        images=tuple(images),
    )


def _nets(protocol: Protocol) -> Nets:
    names: set[LpipsNet] = {measure.of.net for measure in protocol.measures if isinstance(measure.of, LpipsOf)}
    nets: Nets = {name: load_lpips(name) for name in names}
    if None in nets.values():
        logger.warning("LPIPS: not computed (run 'avatar assets fetch lpips')")
    return nets
