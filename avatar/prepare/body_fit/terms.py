"""What an estimate costs: by landmarks, by outlines, by how people bend and by how they move.

Each term is the square of an error by how large it usually is, so that terms compare; a frame's cost is their sum.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad

from ..observations import Observations
from ..skeleton import NAMES
from ..triangulate import projection_matrices
from .estimate import Estimate, Template
from .outlines import Outlines

_LANDMARK_M, _POINT_M = 0.03, 0.03  # of a landmark across the line of sight, and of a triangulated one
_OUTSIDE_M, _INSIDE_M = 0.010, 0.0125  # of skin outside the mask, and of the contour outside the skin
_BEYOND_M = 0.007
_CLOTHES_M, _STRAY_M = 0.03, 0.10  # from here on a contour is that of clothes or hair; of something else
_ALIKE = 40.0  # independent points on a contour: its errors are alike nearby
_OFFSET_M = 0.02
_GUESS_M, _GUESS_LIMIT_M = 0.1, 0.4  # of a guessed depth, by how sure the landmark is, and what may still be one
_HEIGHT_M = 0.02
_HIPS = [NAMES.index("left_hip"), NAMES.index("right_hip")]
_SHAPE_SPREAD = 0.25  # of the parameters but age
_ADULT, _ADULT_SPREAD = 0.6, 0.1  # age, which is an adult's as long as it may
_PLACE_DENSITY, _TURN_DENSITY = 30.0, 1000.0  # spectral densities of accelerations: m^2/s^3, rad^2/s^3
_JOINTS_ALIKE = 8.0  # independent joints
_SHAPE_WEIGHT = 1.0
_OFFSET_WEIGHT = 4.0
_NORMAL_M = 0.12  # so far away is a point as bad a match as one whose normal differs by one


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What is seen in some frames.

    Attributes:
        times_s: of the frames, ascending.
        projections: from homogeneous world points to homogeneous pixels.
        points_px: landmarks, anything where not seen.
        confidences: of them, zero where not seen.
        points_world: triangulated landmarks, anything where not known.
        point_confidences: of them, zero where not known.
    """

    times_s: Float[Tensor, " f"]
    projections: Float[Tensor, "c 3 4"]
    points_px: Float[Tensor, "f c 33 2"]
    confidences: Float[Tensor, "f c 33"]
    points_world: Float[Tensor, "f 33 3"]
    point_confidences: Float[Tensor, "f 33"]

    def frames(self, rows: Int[Tensor, " n"]) -> "Sight":
        """Some of the frames."""
        return Sight(
            times_s=self.times_s[rows],
            projections=self.projections,
            points_px=self.points_px[rows],
            confidences=self.confidences[rows],
            points_world=self.points_world[rows],
            point_confidences=self.point_confidences[rows],
        )

    @classmethod
    def of(cls, observations: Observations) -> "Sight":
        """All that was seen but the masks."""
        points, points_world = observations.points_px.float(), observations.points_world.float()
        return cls(
            times_s=torch.arange(observations.num_frames) / observations.frame_rate_hz,
            projections=projection_matrices(observations.cameras).float(),
            points_px=points.nan_to_num(),
            confidences=observations.confidences.float() * points.isfinite().all(-1),
            points_world=points_world.nan_to_num(),
            point_confidences=observations.point_confidences.float() * points_world.isfinite().all(-1),
        )

    @cached_property
    def centres_world(self) -> Float[Tensor, "c 3"]:
        """Optical centres."""
        return -torch.linalg.solve(self.projections[..., :3], self.projections[..., 3:])[..., 0]

    def project(self, points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f c n 2"]:
        """World points to pixels of all cameras; depths are held at 1 cm or more."""
        image = torch.einsum("cik,fnk->fcni", self.projections[..., :3], points) + self.projections[:, None, :, 3]
        return image[..., :2] / image[..., 2:].clamp_min(0.01)

    def behind_hips_m(self, points: Float[Tensor, "f 33 3"]) -> Float[Tensor, "f 33"]:
        """How much farther than the hips the landmarks are from the first camera, along its view."""
        depths = points @ self.projections[0, 2, :3]
        return depths - depths[:, _HIPS].mean(1, keepdim=True)

    def pixel_sizes_m(self, places: Float[Tensor, "f 3"]) -> Float[Tensor, "f c"]:
        """How large a pixel is at these places."""
        depths = places @ self.projections[:, 2, :3].mT + self.projections[:, 2, 3]
        focals = torch.linalg.det(self.projections[..., :3]).abs().sqrt()
        return depths.clamp_min(0.01) / focals


def robust(squares: Float[Tensor, "*b"], limit: float) -> Float[Tensor, "*b"]:
    """Squares of errors that never count more than ``limit`` squared (Geman and McClure 1985)."""
    return squares / (1 + squares / limit**2)


def landmark_cost(
    sight: Sight, markers: Float[Tensor, "f 33 3"], pixel_sizes_m: Float[Tensor, "f c"], limit_m: float
) -> Float[Tensor, " f"]:
    """Of landmarks in the pictures and of triangulated ones; of one camera's, of how far behind the hips they are."""
    away = (sight.project(markers) - sight.points_px) * pixel_sizes_m[..., None, None]
    seen = (sight.confidences * robust(away.square().sum(-1), limit_m)).sum((1, 2)) / _LANDMARK_M**2
    if len(sight.projections) == 1:
        behind = sight.behind_hips_m(markers) - sight.behind_hips_m(sight.points_world)
        guessed = sight.point_confidences * robust(behind.square(), _GUESS_LIMIT_M)
        return seen + guessed.sum(1) / _GUESS_M**2
    off = (markers - sight.points_world).square().sum(-1)
    return seen + (sight.point_confidences * robust(off, limit_m)).sum(1) / _POINT_M**2


@dataclass(frozen=True, kw_only=True, eq=False)
class Contours:
    """Outlines, and which points of the skin make them.

    Attributes:
        outlines: of the masks.
        rows: the point of the skin for each of the contours'.
        weights: 1 for points that count.
    """

    outlines: Outlines
    rows: Int[Tensor, "f c n"]
    weights: Float[Tensor, "f c n"]


@torch.no_grad()
def match(template: Template, estimate: Estimate, sight: Sight, outlines: Outlines) -> Contours:
    """For each point of a contour the nearest of the skin in place and in normal, which is across the line of sight."""
    skin, normals = template.posed(estimate).surface, template.normals(estimate)
    sizes = sight.pixel_sizes_m(estimate.root_positions)[..., None, None]
    axes = normalize(sight.projections[:, :2, :3], dim=-1)
    found = []
    for places, size, of_frame, looks, points, outward in zip(
        sight.project(skin), sizes, skin, normals, outlines.points_px, outlines.normals, strict=True
    ):
        rays = normalize(of_frame - sight.centres_world[:, None], dim=-1)
        turned = torch.cat([torch.einsum("cik,vk->cvi", axes, looks), (rays * looks).sum(-1, keepdim=True)], dim=-1)
        ours = torch.cat([places * size, _NORMAL_M * turned], dim=-1)
        theirs = torch.cat([points * size, _NORMAL_M * pad(outward, (0, 1))], dim=-1)
        found.append(torch.cdist(theirs, ours).argmin(-1))
    rows = torch.stack(found)
    return Contours(outlines=outlines, rows=rows, weights=outlines.weights * template.is_firm[rows])


def contour_cost(
    contours: Contours, places_px: Float[Tensor, "f c v 2"], sizes_m: Float[Tensor, "f c"]
) -> Float[Tensor, " f"]:
    """Of contours away from the skin's along their normals: where they are outside of the skin it may be clothes."""
    outlines, rows = contours.outlines, contours.rows
    matched = places_px.gather(2, rows[..., None].expand(*rows.shape, 2))
    beyond = ((outlines.points_px - matched) * outlines.normals).sum(-1) * sizes_m[..., None]
    pulls = robust(beyond.clamp_min(0).square(), _CLOTHES_M) / _INSIDE_M**2
    pushes = robust(beyond.clamp_max(0).square(), _STRAY_M) / _OUTSIDE_M**2
    return _ALIKE * (contours.weights * (pulls + pushes)).mean(2).sum(1)


def stray_cost(
    outlines: Outlines, places_px: Float[Tensor, "f c v 2"], sizes_m: Float[Tensor, "f c"]
) -> Float[Tensor, " f"]:
    """Of skin outside the masks."""
    places = (places_px - outlines.corners_px[:, :, None]) / outlines.cells_px[..., None, None]
    grid = 2 / (outlines.distances_px.shape[-1] - 1) * places - 1
    distances = grid_sample(
        outlines.distances_px.flatten(0, 1)[:, None],
        grid.flatten(0, 1)[:, None],
        padding_mode="border",
        align_corners=True,
    ).view(places.shape[:3])
    return _ALIKE * robust((distances * sizes_m[..., None]).square(), _STRAY_M).mean(2).sum(1) / _BEYOND_M**2


def motion_cost(values: Float[Tensor, "f n 3"], times_s: Float[Tensor, " f"], density: float) -> Float[Tensor, ""]:
    """Of values away from the straight line between the frames before and after, mean over the values of a frame.

    Accelerations are white noise of that spectral density: with intervals a and b the variance of such a distance is
    ``density a^2 b^2 / (3 (a + b))``.
    """
    before, after = times_s.diff()[:-1], times_s.diff()[1:]
    away = values[1:-1] - torch.lerp(values[:-2], values[2:], (before / (before + after))[:, None, None])
    variances = density * (before * after).square() / (3 * (before + after))
    return (away.square().sum(-1).mean(1) / variances).sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What estimates of some frames are judged by.

    Attributes:
        template: the body.
        sight: what is seen in these frames.
        limit_m: how far a landmark may be off and still count.
        before: the two frames before these, if there are any, which are settled.
        height_m: the person's, where it is known.
        times_s: of the settled frames and of these.
        contours: None for landmarks alone.
    """

    template: Template
    sight: Sight
    limit_m: float
    before: Estimate
    height_m: float | None
    times_s: Float[Tensor, " f"]
    contours: Contours | None = None

    def cost(self, estimate: Estimate) -> Float[Tensor, ""]:
        """The sum over frames; what the person costs counts in each, since errors are alike in all."""
        posed = self.template.posed(estimate)
        sizes = self.sight.pixel_sizes_m(estimate.root_positions.detach())
        frames = landmark_cost(self.sight, posed.markers, sizes, self.limit_m)
        frames = frames + self.template.freedoms.surprise(estimate.turns)
        if self.contours is not None:
            places = self.sight.project(posed.surface)
            frames = frames + contour_cost(self.contours, places, sizes)
            frames = frames + stray_cost(self.contours.outlines, places, sizes)
        frames = frames + self._unusualness(estimate).square().sum()
        offsets = _OFFSET_WEIGHT * (estimate.offsets / _OFFSET_M).square().sum()
        return frames.sum() + self._motion(estimate, posed.joints) + offsets

    def moved(self, estimate: Estimate) -> Float[Tensor, "f m"]:
        """Points of the body and turns by how well they are known: what ``refine`` measures changes with."""
        posed, cameras = self.template.sparse.posed(estimate), len(self.sight.projections)
        skin = (_ALIKE * cameras / 3 / posed.surface.shape[1]) ** 0.5 / _OUTSIDE_M * posed.surface
        markers = cameras**0.5 / _LANDMARK_M * posed.markers
        turns = self.template.freedoms.unusualness(estimate.turns)
        shape = self._unusualness(estimate).expand(len(estimate), -1)
        return torch.cat([skin.flatten(1), markers.flatten(1), turns.flatten(1), shape], dim=1)

    def _motion(self, estimate: Estimate, joints: Float[Tensor, "f j 3"]) -> Float[Tensor, ""]:
        settled = self.template.joints(replace(self.before, shape=estimate.shape)).detach()
        rows = self.template.freedoms.joints
        places, turns = torch.cat([settled, joints])[:, rows], torch.cat([self.before.turns, estimate.turns])
        by_place = motion_cost(places, self.times_s, _PLACE_DENSITY)
        return _JOINTS_ALIKE * (by_place + motion_cost(turns, self.times_s, _TURN_DENSITY))

    def _unusualness(self, estimate: Estimate) -> Float[Tensor, " p"]:
        """Of the shape, by what is usual; and of the height, where it is known."""
        is_age = torch.tensor([name == "age" for name in self.template.body.shape_names])
        usual = (estimate.shape - 0.5) / _SHAPE_SPREAD
        found = _SHAPE_WEIGHT**0.5 * torch.where(is_age, (estimate.shape - _ADULT) / _ADULT_SPREAD, usual)
        if self.height_m is None:
            return found
        return torch.cat([found, ((self.template.height_m(estimate) - self.height_m) / _HEIGHT_M)[None]])
