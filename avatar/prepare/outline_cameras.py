"""Cameras moved until the outlines of a fitted body lie on those of the masks.

A landmarker errs alike in all frames of a view, by pixels where it sees a back, and cameras refined on landmarks take a
part of that over. Masks err to either side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import pad

from avatar.body import load_body
from avatar.geometry import matrices_from_axis_angles, rigid_from_parts
from avatar.render import view_mesh
from avatar.structs import Camera

from .observations import FittedBody, Observations

USUAL_ERROR = 0.005  # of an outline, as a share of the person's height in the picture
STRAY = 4.0  # usual errors from which on a piece of outline counts little
ALIKE = 12.0  # independent points on an outline: its errors are alike nearby


@dataclass(frozen=True, kw_only=True)
class OutlineConfig:
    """How far cameras may move.

    Attributes:
        turn_rad, shift_m: standard deviations of a camera's error.
        max_frames: take so many frames, evenly spread.
        points: of each outline.
        rounds: how often outlines are drawn anew.
    """

    turn_rad: float = 0.005
    shift_m: float = 0.03
    max_frames: int = 25
    points: int = 200
    rounds: int = 3

    def __post_init__(self) -> None:
        for name in ("turn_rad", "shift_m", "max_frames", "points", "rounds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"OutlineConfig.{name}: expected more than 0, got {getattr(self, name)}")


@torch.no_grad()
def cameras_by_outlines(
    observations: Observations, fitted: FittedBody, config: OutlineConfig | None = None
) -> tuple[Camera, ...]:
    """The cameras, turned and shifted so that the fitted body's outlines meet the masks', over all frames at once.

    The body stays. What the outlines of a camera have in common, since the body is too thin or masks are too wide,
    moves nothing. A camera without masks is left alone.
    """
    config = config or OutlineConfig()
    count = observations.num_frames
    frames = np.unique(np.linspace(0, count - 1, min(config.max_frames, count)).round().astype(int)).tolist()
    shaped = load_body(fitted.rig).shaped(fitted.shape)
    bodies = [shaped.posed(fitted.poses[frame]).vertices_world for frame in frames]
    moved = []
    for index, camera in enumerate(observations.cameras):
        masks = [observations.load_mask(frame, index) for frame in frames]
        views = [
            (mask, body) for mask, body in zip(masks, bodies, strict=True) if mask is not None and bool(mask.any())
        ]
        moved.append(_moved(camera, views, shaped.rig.faces, config) if views else camera)
    return tuple(moved)


def _moved(
    camera: Camera,
    views: Sequence[tuple[Bool[ndarray, "h w"], Float[Tensor, "v 3"]]],
    faces: Int[Tensor, "t 3"],
    config: OutlineConfig,
) -> Camera:
    """Gauss's and Newton's steps; the last unknown is by how many usual errors all masks are too wide."""
    prior = torch.tensor([config.turn_rad] * 3 + [config.shift_m] * 3 + [torch.inf], dtype=torch.float64) ** -2
    total = torch.zeros(7, dtype=torch.float64)
    for _ in range(config.rounds):
        terms = [_terms(camera, mask, body, faces, config.points) for mask, body in views]
        jacobian, residuals = (torch.cat(column) for column in zip(*terms, strict=True))
        if not len(residuals):
            break
        step = -torch.linalg.solve(jacobian.mT @ jacobian + prior.diag_embed(), jacobian.mT @ residuals + prior * total)
        total += pad(step[:6], (0, 1))
        turn = rigid_from_parts(matrices_from_axis_angles(step[:3]), step[3:6])
        camera = replace(camera, camera_from_world=(turn @ camera.camera_from_world.double()).float())
    return camera


def _terms(
    camera: Camera, mask: Bool[ndarray, "h w"], body: Float[Tensor, "v 3"], faces: Int[Tensor, "t 3"], count: int
) -> tuple[Float[Tensor, "n 7"], Float[Tensor, " n"]]:
    """How far the body's outline is beyond the mask's, in usual errors, weighted, and its derivatives."""
    raster = view_mesh(body, faces, camera).raster
    x, y = _outline((raster.triangles >= 0).numpy(), count).T
    error_px = USUAL_ERROR * (np.ptp(np.flatnonzero(mask.any(axis=1))) + 1)
    beyond = _signed_distances(mask) / np.float32(error_px)
    slopes = [cv2.Sobel(beyond, cv2.CV_32F, *order, ksize=3, scale=1 / 8)[y, x] for order in ((1, 0), (0, 1))]
    residuals, depths = torch.from_numpy(beyond[y, x]).double(), raster.depths[y, x].double()
    intrinsics = camera.intrinsics_px.double()
    by_ray = torch.from_numpy(np.stack(slopes, axis=1)).double() * intrinsics[[0, 1], [0, 1]]
    pixels = torch.from_numpy(np.stack([x, y], axis=1)).double() + 0.5
    rays = (pixels - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]]
    by_shift = torch.cat([by_ray, -(by_ray * rays).sum(dim=1, keepdim=True)], dim=1) / depths[:, None]
    by_turn = torch.linalg.cross(pad(rays, (0, 1), value=1.0) * depths[:, None], by_shift)
    jacobian = torch.cat([by_turn, by_shift, -torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    # The root of an outline's independent points by all, and of Geman and McClure's weight.
    weights = (ALIKE / max(len(x), 1)) ** 0.5 / (1 + (residuals / STRAY).square())
    return weights[:, None] * jacobian, weights * residuals


def _outline(is_body: Bool[ndarray, "h w"], count: int) -> Int[ndarray, "n 2"]:
    """About so many pixels of the outline, evenly spread, as x and y; none at the picture's border."""
    contours, _ = cv2.findContours(is_body.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    pixels = np.concatenate([np.zeros((0, 2), np.int64), *(contour[:, 0].astype(np.int64) for contour in contours)])
    pixels = pixels[:: max(1, len(pixels) // count)]
    return pixels[((pixels > 1) & (pixels < np.array(is_body.shape[::-1]) - 2)).all(axis=1)]


def _signed_distances(mask: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """How far the middle of each pixel is outside of the mask, negative within."""
    outside, inside = (
        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (~mask, mask)
    )
    return np.where(mask, 0.5 - inside, outside - 0.5)
