"""How bad every picture of a capture is: its figures on one scale, from nothing to worry about to plainly wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import project, transform_points
from avatar.structs import Camera

from ..observations import CameraFindings, Findings
from ..pictures import MOVING
from ..timeline import TRUSTED

# Where a figure is plainly wrong, level 1.
BAD_RESIDUAL = 0.025  # of the person's height in the picture
BAD_OVERLAP = 0.75
BAD_DISAGREEMENT = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Gauge:
    """One figure of every camera at every time step.

    Attributes:
        title: what it is called.
        meaning: what it tells, a sentence.
        unit: in which ``show`` gives it.
        values: NaN where not known.
        levels: 0 as good as can be, from 1 on plainly wrong; NaN where not known.
        show: a value as text.
    """

    title: str
    meaning: str
    unit: str
    values: Float[Tensor, "f c"]
    levels: Float[Tensor, "f c"]
    show: Callable[[float], str]

    def typical(self) -> Float[Tensor, " c"]:
        """Median over time of each camera; NaN for one without any value."""
        return self.values.nanmedian(dim=0).values

    def typical_levels(self) -> Float[Tensor, " c"]:
        """The same of the levels."""
        return self.levels.nanmedian(dim=0).values


def heights_px(cameras: Sequence[Camera], joints_world: Float[Tensor, "f j 3"]) -> Float[Tensor, " c"]:
    """How large each camera sees the person: the longer side around the joints, median over frames.

    The height of the picture for a camera that never has the whole person before it.
    """
    sizes = []
    for camera in cameras:
        pixels, depths = project(transform_points(camera.camera_from_world, joints_world), camera.intrinsics_px)
        extents = (pixels.amax(dim=1) - pixels.amin(dim=1)).amax(dim=-1)[(depths > 0).all(dim=1)]
        size = float(extents.nanmedian()) if len(extents) else math.nan
        sizes.append(size if size > 0 else float(camera.height))
    return torch.tensor(sizes)


def gauges(findings: Findings, heights_px: Float[Tensor, " c"]) -> tuple[Gauge, ...]:
    """The figures of which anything is known; ``heights_px`` says how large each camera sees the person."""
    share = f"deepest colour: {100 * BAD_RESIDUAL:g} % of the person's height in the picture"
    every = (
        Gauge(
            title="Cameras against each other",
            meaning=f"How far landmarks are from where the other cameras say they are, median; {share}.",
            unit="px",
            values=findings.residuals_px,
            levels=findings.residuals_px / (BAD_RESIDUAL * heights_px),
            show=pixels,
        ),
        Gauge(
            title="Body against landmarks",
            meaning=f"How far landmarks are from those of the fitted body, median; {share}.",
            unit="px",
            values=findings.fit_residuals_px,
            levels=findings.fit_residuals_px / (BAD_RESIDUAL * heights_px),
            show=pixels,
        ),
        Gauge(
            title="Body against mask",
            meaning=f"What outlines of body and mask share, of what either holds; deepest colour: {BAD_OVERLAP:.2f}.",
            unit="IoU",
            values=findings.overlaps,
            levels=(1 - findings.overlaps) / (1 - BAD_OVERLAP),
            show=lambda value: number(value, 2),
        ),
        Gauge(
            title="Masks",
            meaning="Where only one of landmark network and difference from the empty scene sees the person, of where "
            f"both do; deepest colour: {percent(BAD_DISAGREEMENT)}.",
            unit="disagree",
            values=findings.disagreements,
            levels=findings.disagreements / BAD_DISAGREEMENT,
            show=percent,
        ),
    )
    return tuple(gauge for gauge in every if gauge.values.isfinite().any())


def worst_levels(found: Sequence[Gauge], like: Float[Tensor, "f c"]) -> Float[Tensor, "f c"]:
    """The highest level of each picture; NaN, in the shape of ``like``, where no gauge knows it."""
    levels = torch.stack([torch.full_like(like, torch.nan), *(gauge.levels.to(like) for gauge in found)])
    highest = torch.where(levels.isnan(), -torch.inf, levels).amax(dim=0)
    return torch.where(highest > -torch.inf, highest, torch.nan)


def worst_frames(levels: Float[Tensor, " f"], count: int) -> list[int]:
    """The worst time steps of one camera, the worst first, not next to each other in a take that is long enough."""
    left, apart = torch.where(levels.isnan(), -torch.inf, levels), max(1, len(levels) // (4 * count))
    chosen = []
    while len(chosen) < count and left.max() > -torch.inf:
        worst = int(left.argmax())
        chosen.append(worst)
        left[max(0, worst - apart + 1) : worst + apart] = -torch.inf
    return chosen


def camera_level(camera: CameraFindings, num_frames: int, typical_levels: Sequence[float]) -> float:
    """How bad a camera is: by the worst of all that is known of it."""
    levels = [
        *typical_levels,
        2 * (camera.missing + camera.unseen) / max(1, num_frames),
        camera.unrest / MOVING,
        float(is_unsure(camera)),
    ]
    return max((level for level in levels if not math.isnan(level)), default=0.0)


def is_unsure(camera: CameraFindings) -> bool:
    """Whether its clock was compared and the offset is not to be trusted."""
    return camera.sync_confidence < TRUSTED


def number(value: float, decimals: int) -> str:
    """Fixed decimals, or a dash for what is not a number."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else "—"


def pixels(value: float) -> str:
    """Two digits at least."""
    return number(value, 0 if value >= 100 else 1)


def seconds(value: float) -> str:
    """An offset of a clock with its sign, to the millisecond."""
    return f"{value:+.3f} s" if math.isfinite(value) else "—"


def percent(share: float) -> str:
    """Of a share."""
    return f"{number(100 * share, 0)} %" if math.isfinite(share) else "—"
