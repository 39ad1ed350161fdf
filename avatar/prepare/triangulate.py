"""Landmarks of several calibrated cameras to points of the world, whatever some of the cameras claim to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.structs import Camera

from .skeleton import BONES, MIRROR, NAMES, SWAP_GROUPS

MAX_PAIRS = 36  # of cameras that first guesses come from
MIN_SCALE_PX = 0.25
STEPS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Triangulation:
    """Points of the world, and how well the cameras agree on them.

    Attributes:
        points_world: metres; NaN where fewer than two cameras saw the landmark.
        confidences: 0 to 1: the second best camera's weight, since one camera alone proves nothing.
        residuals_px: distance of each landmark from its point's projection; NaN where it was not seen.
        is_swapped: where a camera's left and right were exchanged, by ``skeleton.SWAP_GROUPS``.
        scale_px: the residual from which on a landmark is believed less.
    """

    points_world: Float[Tensor, "f j 3"]
    confidences: Float[Tensor, "f j"]
    residuals_px: Float[Tensor, "f c j"]
    is_swapped: Bool[Tensor, "f c g"]
    scale_px: float

    def camera_residuals_px(self) -> Float[Tensor, " c"]:
        """Median residual of each camera; NaN for one that saw nothing."""
        return self.residuals_px.movedim(1, 0).flatten(1).nanmedian(dim=1).values


def triangulate(
    cameras: Sequence[Camera], points_px: Float[Tensor, "f c j 2"], confidences: Float[Tensor, "f c j"]
) -> Triangulation:
    """Points by iteratively reweighted least squares from the best pair of cameras; then mirrored sides are sought.

    Landmarks are NaN, or have confidence zero, where a camera does not see them. The scale of residuals is estimated.
    """
    projections = projection_matrices(cameras)
    points_px, weights = points_px.double(), confidences.double() * points_px.isfinite().all(dim=-1)
    scale_px = _scale(projections, points_px, weights)
    is_swapped = torch.zeros(*points_px.shape[:2], len(SWAP_GROUPS), dtype=torch.bool)
    if points_px.shape[2] == len(NAMES):
        is_swapped = _find_swaps(projections, points_px, weights, scale_px)
        points_px, weights = swap_sides(points_px, is_swapped), swap_sides(weights[..., None], is_swapped)[..., 0]
    columns, rows = _columns(points_px), _columns(weights[..., None])[..., 0]
    points_world = triangulate_points(projections, columns, rows, scale_px)
    residuals = reprojection_residuals(projections, points_world, columns)
    believed = torch.where(rows > 0, rows / (1 + (residuals / scale_px) ** 2) ** 2, 0)
    frames, count, landmarks = weights.shape
    return Triangulation(
        points_world=points_world.unflatten(0, (frames, landmarks)),
        confidences=believed.sort(dim=0).values[-min(2, count)].unflatten(0, (frames, landmarks)),
        residuals_px=torch.where(rows > 0, residuals, torch.nan).unflatten(1, (frames, landmarks)).movedim(1, 0),
        is_swapped=is_swapped,
        scale_px=scale_px,
    )


def projection_matrices(cameras: Sequence[Camera]) -> Float[Tensor, "c 3 4"]:
    """From homogeneous world points to homogeneous pixels, in double precision."""
    return torch.stack([each.intrinsics_px.double() @ each.camera_from_world.double()[:3] for each in cameras])


def triangulate_points(
    projections: Float[Tensor, "c 3 4"],
    points_px: Float[Tensor, "c n 2"],
    weights: Float[Tensor, "c n"],
    scale_px: float,
) -> Float[Tensor, "n 3"]:
    """The points whose projections are near most of the pixels; NaN for those seen by fewer than two cameras.

    Minimises the sum of ``weights * r^2 / (r^2 + scale_px^2)`` (Geman and McClure 1985) over residuals r.
    """
    is_seen = (weights > 0) & points_px.isfinite().all(dim=-1)
    weights, points_px = torch.where(is_seen, weights, 0), torch.where(is_seen[..., None], points_px, 0)
    points = _best_pairs(projections, points_px, weights, scale_px)
    rows = projections[:, None, :2] - points_px[..., None] * projections[:, None, 2:]  # c n 2 4, zero at the solution
    for _ in range(STEPS):
        depths = _depths(projections, points)
        residuals = reprojection_residuals(projections, points, points_px)
        robust = weights / (1 + (residuals / scale_px) ** 2) ** 2 * (depths > 1e-6)
        scaled = (robust / depths.clamp_min(1e-6) ** 2)[..., None, None] * rows
        normal = torch.einsum("cnri,cnrk->nik", scaled[..., :3], rows[..., :3])
        ridge = 1e-9 * normal.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None] + 1e-30
        right = -torch.einsum("cnri,cnr->ni", scaled[..., :3], rows[..., 3])
        eye = torch.eye(3, dtype=points.dtype)
        # The ridge pulls to the last estimate, so that it moves no solution.
        points = torch.linalg.solve(normal + ridge * eye, right + ridge[..., 0] * points)
    return torch.where((is_seen.sum(dim=0) >= 2)[:, None], points, torch.nan)


def reprojection_residuals(
    projections: Float[Tensor, "c 3 4"], points_world: Float[Tensor, "n 3"], points_px: Float[Tensor, "c n 2"]
) -> Float[Tensor, "c n"]:
    """Distance between pixels and projections; infinite behind a camera."""
    image = torch.einsum("cik,nk->cni", projections[..., :3], points_world) + projections[:, None, :, 3]
    distances = torch.linalg.vector_norm(image[..., :2] / image[..., 2:] - points_px, dim=-1)
    return torch.where(image[..., 2] > 0, distances, torch.where(image[..., 2].isnan(), torch.nan, torch.inf))


def swap_sides(values: Float[Tensor, "f c j d"], is_swapped: Bool[Tensor, "f c g"]) -> Float[Tensor, "f c j d"]:
    """Values with left and right exchanged in the groups of landmarks where asked."""
    swapped = values.clone()
    for group, landmarks in enumerate(SWAP_GROUPS.values()):
        ids = list(landmarks)
        mirrored = values[:, :, [MIRROR[i] for i in ids]]
        swapped[:, :, ids] = torch.where(is_swapped[:, :, group, None, None], mirrored, values[:, :, ids])
    return swapped


@dataclass(frozen=True, kw_only=True)
class BoneLength:
    """How constant a bone's length is over time, which it is in truth.

    Attributes:
        name: its two ends.
        metres: the median.
        spread_m: median absolute deviation.
    """

    name: str
    metres: float
    spread_m: float


def bone_lengths(points_world: Float[Tensor, "f 33 3"]) -> list[BoneLength]:
    """Of all bones seen in at least one frame."""
    found = []
    for start, end in BONES:
        lengths = torch.linalg.vector_norm(points_world[:, start] - points_world[:, end], dim=-1)
        lengths = lengths[lengths.isfinite()]
        if len(lengths):
            middle = lengths.median()
            spread = (lengths - middle).abs().median()
            name = f"{NAMES[start]} to {NAMES[end]}"
            found.append(BoneLength(name=name, metres=float(middle), spread_m=float(spread)))
    return found


def _columns(values: Float[Tensor, "f c j d"]) -> Float[Tensor, "c n d"]:
    return values.movedim(1, 0).flatten(1, 2)


def _depths(projections: Float[Tensor, "c 3 4"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "c n"]:
    return projections[:, 2, :3] @ points.mT + projections[:, 2, 3:]


def _scale(projections: Tensor, points_px: Float[Tensor, "f c j 2"], weights: Float[Tensor, "f c j"]) -> float:
    """Six times the median residual, at most a twelfth of the person's height.

    Less would let two cameras that happen to agree outvote the others: landmarks err alike in neighbouring views.
    """
    heights = torch.where(weights > 0, points_px[..., 1], torch.nan)
    spans = heights.nan_to_num(nan=-torch.inf).amax(dim=2) - heights.nan_to_num(nan=torch.inf).amin(dim=2)
    spans = spans[spans.isfinite()]
    most = max(MIN_SCALE_PX, float(spans.median()) / 12) if len(spans) else MIN_SCALE_PX
    columns, rows = _columns(points_px), _columns(weights[..., None])[..., 0]
    residuals = reprojection_residuals(projections, triangulate_points(projections, columns, rows, most), columns)
    seen = residuals[(rows > 0) & residuals.isfinite()]
    return max(MIN_SCALE_PX, min(most, 6.0 * float(seen.median()))) if len(seen) else most


def _best_pairs(
    projections: Float[Tensor, "c 3 4"],
    points_px: Float[Tensor, "c n 2"],
    weights: Float[Tensor, "c n"],
    scale_px: float,
) -> Float[Tensor, "n 3"]:
    """For each point the one midway between two cameras' rays with which most cameras agree."""
    inverse = torch.linalg.inv(projections[..., :3])
    centres = -(inverse @ projections[..., 3:])[..., 0]
    rays = torch.einsum("cik,cnk->cni", inverse, torch.cat([points_px, torch.ones_like(points_px[..., :1])], dim=-1))
    rays = torch.nn.functional.normalize(rays, dim=-1)
    pairs = list(combinations(range(len(projections)), 2))
    best = torch.zeros_like(rays[0])
    lowest = torch.full_like(weights[0], torch.inf)
    for i, j in pairs[:: -(-len(pairs) // MAX_PAIRS)]:
        points = _midpoints(centres[i], rays[i], centres[j], rays[j])
        residuals = reprojection_residuals(projections, points, points_px)
        costs = (weights * (residuals / scale_px).square().clamp_max(1.0)).sum(dim=0)
        costs = torch.where((weights[i] > 0) & (weights[j] > 0), costs, torch.finfo(costs.dtype).max)
        best = torch.where((costs < lowest)[:, None], points, best)
        lowest = torch.minimum(costs, lowest)
    return best


def _midpoints(
    centre: Float[Tensor, "3"],
    rays: Float[Tensor, "n 3"],
    other_centre: Float[Tensor, "3"],
    others: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3"]:
    """Midway between the nearest points of two rays of unit direction."""
    offset = other_centre - centre
    cosines = (rays * others).sum(dim=-1)
    along, other_along = rays @ offset, others @ offset
    squared_sines = (1 - cosines**2).clamp_min(1e-9)
    near = (along - cosines * other_along) / squared_sines
    far = (cosines * along - other_along) / squared_sines
    return (centre + near[:, None] * rays + other_centre + far[:, None] * others) / 2


def _find_swaps(
    projections: Float[Tensor, "c 3 4"],
    points_px: Float[Tensor, "f c j 2"],
    weights: Float[Tensor, "f c j"],
    scale_px: float,
) -> Bool[Tensor, "f c g"]:
    """Exchanges, one camera at a time, that make the cameras agree clearly better; the best first."""
    frames, count, _ = weights.shape
    is_swapped = torch.zeros(frames, count, len(SWAP_GROUPS), dtype=torch.bool)
    values = torch.cat([points_px, weights[..., None]], dim=-1)
    for group, landmarks in enumerate(SWAP_GROUPS.values()):
        ids = list(landmarks)
        costs = _costs(projections, values[:, :, ids], scale_px)
        open_frames = (costs > 0.1 * len(ids)).nonzero()[:, 0]  # a whole group on the wrong side costs more
        for _ in range(count // 2):
            trials = []
            for camera in range(count):
                trial = is_swapped[open_frames]
                trial[:, camera, group] ^= True
                trials.append(_costs(projections, swap_sides(values[open_frames], trial)[:, :, ids], scale_px))
            lowest, camera = torch.stack(trials).min(dim=0)
            is_better = lowest < 0.8 * costs[open_frames]
            open_frames, camera = open_frames[is_better], camera[is_better]
            if not len(open_frames):
                break
            is_swapped[open_frames, camera, group] ^= True
            costs[open_frames] = lowest[is_better]
    return is_swapped


def _costs(
    projections: Float[Tensor, "c 3 4"], values: Float[Tensor, "f c j 3"], scale_px: float
) -> Float[Tensor, " f"]:
    """What each frame's best points cost, by pixels and weights."""
    columns = _columns(values)
    points_px, weights = columns[..., :2], columns[..., 2]
    points = triangulate_points(projections, points_px, weights, scale_px)
    squares = (reprojection_residuals(projections, points, points_px) / scale_px).square()
    costs = torch.where(weights > 0, weights * (1 - 1 / (1 + squares)), 0).nan_to_num(0.0)
    return costs.sum(dim=0).unflatten(0, (values.shape[0], values.shape[2])).sum(dim=1)
