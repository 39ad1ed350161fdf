"""Judge the surfaces of an avatar against the true ones of a capture, frame by frame."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from jaxtyping import UInt8

from avatar.structs import Capture, Mesh

from .surface_metrics import SURFACE_METRICS, SurfaceConfig, compare_surfaces


@dataclass(frozen=True, kw_only=True)
class SurfaceResult:
    """The figures of one frame: each of ``SURFACE_METRICS`` by name, None where there is none."""

    frame_id: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class SurfaceReport:
    """The figures of some frames; at least one.

    Attributes:
        frames: in the order of the split.
        picture: of the ``median_frame``, for the page, BGR and opacity; not stored.
    """

    frames: tuple[SurfaceResult, ...]
    picture: UInt8[np.ndarray, "h w 4"] | None = field(default=None, compare=False)

    def mean(self, metric: str) -> float | None:
        """Mean of one of ``SURFACE_METRICS`` over the frames that have it; None when none has."""
        values = [value for frame in self.frames if (value := frame.metrics[metric]) is not None]
        return fmean(values) if values else None

    def median_frame(self) -> int:
        """The frame whose Chamfer distance is the median; without any surface comes last."""
        distances = {f.frame_id: f.metrics["chamfer_mm"] for f in self.frames}
        order = sorted(distances, key=lambda frame_id: float("inf") if (d := distances[frame_id]) is None else d)
        return order[len(order) // 2]

    def as_json(self) -> dict[str, object]:
        """The means and the figures of every frame, ready for ``json``."""
        return {
            "num_frames": len(self.frames),
            **{metric: self.mean(metric) for metric in SURFACE_METRICS},
            "frames": [{"frame_id": frame.frame_id, **frame.metrics} for frame in self.frames],
        }

    @classmethod
    def from_json(cls, stored: dict) -> "SurfaceReport":
        """What ``as_json`` gave. Raises KeyError or TypeError for something else."""
        return cls(
            frames=tuple(
                SurfaceResult(frame_id=row["frame_id"], metrics={name: row[name] for name in SURFACE_METRICS})
                for row in stored["frames"]
            )
        )


def evaluate_surface(
    capture: Capture,
    frame_ids: Iterable[int],
    mesh_of: Callable[[int], Mesh],
    config: SurfaceConfig | None = None,
    on_frame: Callable[[SurfaceResult], None] | None = None,
) -> SurfaceReport | None:
    """Compare ``mesh_of(frame_id)``, world metres, with the true surface of each frame that has one.

    None where no frame has. ``on_frame`` is told each result as it comes. Raises what ``capture.load_surface`` and
    ``compare_surfaces`` raise.
    """
    results = []
    for frame_id in frame_ids:
        truth = capture.load_surface(frame_id)
        if truth is None:
            continue
        mesh = mesh_of(frame_id)
        on_cpu = Mesh(vertices=mesh.vertices.cpu(), faces=mesh.faces.cpu())
        results.append(SurfaceResult(frame_id=frame_id, metrics=compare_surfaces(on_cpu, truth, config)))
        if on_frame:
            on_frame(results[-1])
    return SurfaceReport(frames=tuple(results)) if results else None
