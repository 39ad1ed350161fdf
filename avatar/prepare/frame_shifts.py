"""Offsets of videos by whole frames, where calibrated cameras tell them better than motion alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.structs import Camera

from .triangulate import projection_matrices, reprojection_residuals, triangulate_points

CLEARLY = 0.98  # a shift that lowers the cost by less is none
SCALE = 25  # a residual of this part of the person's height counts half


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameShifts:
    """By how many frames each video was late.

    Attributes:
        frames: frame ``i + frames[c]`` of video ``c`` belongs to frame ``i`` of the first.
        before, after: how badly the cameras agree, 0 to 1, without and with the shifts.
    """

    frames: Int[Tensor, " c"]
    before: float
    after: float


def find_frame_shifts(
    cameras: Sequence[Camera],
    points_px: Float[Tensor, "f c j 2"],
    confidences: Float[Tensor, "f c j"],
    reach: int = 3,
) -> FrameShifts:
    """The shifts, of at most ``reach`` frames, at which landmarks meet best in space.

    For videos that are synchronised but for a few frames, and cameras that are calibrated but for a few pixels. One
    video moves at a time by one frame, the one that gains most, until none gains. A residual counts by the person's
    size, so that outliers do not. Raises ValueError for too few frames.
    """
    projections = projection_matrices(cameras)
    values = torch.cat([points_px.double(), confidences.double()[..., None]], dim=-1)
    rows = points_px[..., 1]
    spans = rows.nan_to_num(nan=-torch.inf).amax(dim=2) - rows.nan_to_num(nan=torch.inf).amin(dim=2)
    scale_px = max(0.25, float(spans[spans.isfinite()].median()) / SCALE) if bool(spans.isfinite().any()) else 1.0
    shifts, count = torch.zeros(len(cameras), dtype=torch.long), len(values) - 2 * reach
    if reach < 1 or count < 1:
        raise ValueError(
            f"find_frame_shifts: expected reach >= 1 and more than {2 * reach} frames, got {reach}, {len(values)}"
        )

    def cost(trial: Tensor) -> float:
        starts = (reach + trial).tolist()  # the first video's frames are the same in every trial
        moved = [values[start : start + count, i] for i, start in enumerate(starts)]
        return _disagreement(projections, torch.stack(moved, dim=1), scale_px)

    one = torch.eye(len(cameras), dtype=torch.long)
    moves = [*one[1:], 1 - one[0]] if len(cameras) > 2 else [*one[1:]]  # the last is the first video's, from its side
    lowest = before = cost(shifts)
    while True:
        trials = [shifts + sign * move for move in moves for sign in (-1, 1)]
        trials = [trial for trial in trials if int(trial.abs().max()) <= reach]
        costs = [cost(trial) for trial in trials]
        best = min(range(len(trials)), key=costs.__getitem__)
        if costs[best] >= CLEARLY * lowest:
            break
        shifts, lowest = trials[best], costs[best]
    return FrameShifts(frames=shifts, before=before, after=lowest)


def _disagreement(projections: Float[Tensor, "c 3 4"], values: Float[Tensor, "f c j 3"], scale_px: float) -> float:
    """The mean of ``r^2 / (r^2 + scale^2)`` over residuals, by confidence."""
    columns = values.movedim(1, 0).flatten(1, 2)
    points_px, weights = columns[..., :2], columns[..., 2] * columns[..., :2].isfinite().all(dim=-1)
    points = triangulate_points(projections, points_px, weights, scale_px)
    squares = (reprojection_residuals(projections, points, points_px) / scale_px).square()
    weights = torch.where(squares.isnan(), 0, weights)
    return float((weights * (1 - 1 / (1 + squares.nan_to_num()))).sum() / weights.sum().clamp_min(1e-9))
