"""Cameras refined on a person's landmarks: bundle adjustment (Triggs et al., "Bundle Adjustment - A Modern Synthesis",
1999), with the given calibration as the prior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.descent import levenberg_marquardt
from avatar.structs import Camera

from .rig_model import FOCAL, NUM_FREEDOMS, PRINCIPAL, RADIAL, SHIFT, TURN, RigModel
from .triangulate import triangulate_points

MIN_SCALE_PX = 0.02
NEEDED = 0.7
# A landmarker errs alike in neighbouring frames and views: so many observations tell as much as one.
ALIKE = 100.0


@dataclass(frozen=True, kw_only=True)
class BundleConfig:
    """How far the calibration is believed: standard deviations of its errors, zero for what is to stay.

    Attributes:
        turn_rad: of each camera.
        shift_m: of each camera.
        focal: of the focal length, as a share of it.
        principal: of the principal point, as a share of the picture's larger side.
        radial: of the first coefficient of radial distortion.
        max_frames: take so many frames, evenly spread.
        passes: how often the scale of residuals is estimated.
        steps: the most steps of Levenberg and Marquardt in each pass.
    """

    turn_rad: float = 0.01
    shift_m: float = 0.05
    focal: float = 0.0
    principal: float = 0.0
    radial: float = 0.0
    max_frames: int = 40
    passes: int = 4
    steps: int = 15

    def __post_init__(self) -> None:
        for name in ("turn_rad", "shift_m", "focal", "principal", "radial"):
            if getattr(self, name) < 0:
                raise ValueError(f"BundleConfig.{name}: expected zero or more, got {getattr(self, name)}")
        for name in ("max_frames", "passes", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"BundleConfig.{name}: expected one or more, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """Refined cameras.

    Attributes:
        cameras: the same cameras, refined; without ``changes`` in distortion, which a camera does not have.
        changes: by ``rig_model``'s freedoms.
        deviations: standard deviations of ``changes``, as far as landmarks and prior determine them.
        before_px, after_px: median residual of each camera; NaN for one that saw nothing.
    """

    cameras: tuple[Camera, ...]
    changes: Float[Tensor, "c 10"]
    deviations: Float[Tensor, "c 10"]
    before_px: Float[Tensor, " c"]
    after_px: Float[Tensor, " c"]

    @property
    def is_needed(self) -> bool:
        """Whether some camera was so wrong that refining helps.

        Landmarks err by some pixels, alike in all frames, and a rig calibrated better than that gets worse: there the
        residual falls by a tenth or a fifth, where cameras are off by a degree by two thirds and more.
        """
        return bool((self.after_px < NEEDED * self.before_px).any())


def refine_cameras(
    cameras: Sequence[Camera],
    points_px: Float[Tensor, "f c j 2"],
    confidences: Float[Tensor, "f c j"],
    config: BundleConfig | None = None,
) -> Bundle:
    """The cameras that, with the best points, explain the landmarks and stay near the calibration.

    The prior fixes the gauge: world, scale and whatever landmarks cannot tell stay as calibrated. A residual r costs
    ``r^2 / (1 + r^2 / s^2)``; its scale s is estimated. Landmarks are those of undistorted pictures.

    Raises ValueError when no two cameras see one landmark.
    """
    config = config or BundleConfig()
    chosen = torch.linspace(0, len(points_px) - 1, min(config.max_frames, len(points_px))).round().long()
    pixels = points_px[chosen].double().movedim(1, 0).flatten(1, 2)
    weights = confidences[chosen].double().movedim(1, 0).flatten(1, 2) * pixels.isfinite().all(dim=-1)
    is_seen = (weights > 0).sum(dim=0) >= 2
    if not bool(is_seen.any()):
        raise ValueError("refine_cameras: expected landmarks that two cameras see, got none")
    weights = weights[:, is_seen]
    problem = _Problem(
        start=RigModel.of(cameras),
        pixels=torch.where(weights[..., None] > 0, pixels[:, is_seen], 0),
        weights=weights,
        prior=_prior(cameras, config),
    )
    rows = pixels[..., 1][pixels[..., 1].isfinite()]
    rig, scale_px = problem.start, float(rows.amax() - rows.amin()) / 12
    points = problem.triangulated(rig, scale_px)
    before_px, scale_px = problem.medians_px(rig, points), problem.scale_px(rig, points)
    for _ in range(config.passes):
        rig, points = problem.solve(rig, problem.triangulated(rig, scale_px), scale_px, config.steps)
        scale_px = problem.scale_px(rig, points)
    return Bundle(
        cameras=rig.cameras(cameras),
        changes=rig.changes(problem.start),
        deviations=problem.deviations(rig, points, scale_px),
        before_px=before_px,
        after_px=problem.medians_px(rig, points),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """What is given: pixels, how far they are believed, and the calibration with its standard deviations."""

    start: RigModel
    pixels: Float[Tensor, "c n 2"]
    weights: Float[Tensor, "c n"]
    prior: Float[Tensor, "c 10"]

    def triangulated(self, rig: RigModel, scale_px: float) -> Float[Tensor, "n 3"]:
        """Points for these cameras, from scratch: an outlier that won once has no advantage."""
        return triangulate_points(rig.projections, self.pixels, self.weights, scale_px)

    def residuals(self, rig: RigModel, points: Float[Tensor, "n 3"]) -> Float[Tensor, "c n 2"]:
        return rig.project(points) - self.pixels

    def medians_px(self, rig: RigModel, points: Float[Tensor, "n 3"]) -> Float[Tensor, " c"]:
        lengths = torch.linalg.vector_norm(self.residuals(rig, points), dim=-1)
        return torch.where(self.weights > 0, lengths, torch.nan).nanmedian(dim=1).values

    def scale_px(self, rig: RigModel, points: Float[Tensor, "n 3"]) -> float:
        """Six times the median residual, about seven standard deviations of a coordinate."""
        lengths = torch.linalg.vector_norm(self.residuals(rig, points), dim=-1)
        return max(MIN_SCALE_PX, 6.0 * float(lengths[self.weights > 0].median()))

    def cost(self, rig: RigModel, points: Float[Tensor, "n 3"], scale_px: float) -> float:
        squares = self.residuals(rig, points).square().sum(dim=-1) / scale_px**2
        data = 49.0 / ALIKE * (self.weights * squares / (1 + squares)).sum()
        is_free = self.prior > 0
        prior = (rig.changes(self.start)[is_free] / self.prior[is_free]).square().sum()
        return float(0.5 * (data + prior))

    def solve(
        self, rig: RigModel, points: Float[Tensor, "n 3"], scale_px: float, steps: int
    ) -> tuple[RigModel, Float[Tensor, "n 3"]]:
        """Levenberg and Marquardt's steps until none lowers the cost by a millionth."""

        def cost(state: tuple[RigModel, Tensor]) -> float:
            return self.cost(*state, scale_px)

        def linearised(state: tuple[RigModel, Tensor]) -> Callable[[float], tuple[RigModel, Tensor]]:
            system, (now, places) = self.normal_equations(*state, scale_px), state

            def damped(damping: float) -> tuple[RigModel, Tensor]:
                turn, move = system.step(damping)
                return now.moved(turn), places + move

            return damped

        return levenberg_marquardt((rig, points), cost, linearised, steps, tolerance=1e-6)

    def normal_equations(self, rig: RigModel, points: Float[Tensor, "n 3"], scale_px: float) -> "_NormalEquations":
        by_camera, by_point = rig.jacobians(points)
        residuals = self.residuals(rig, points)
        squares = residuals.square().sum(dim=-1) / scale_px**2
        robust = (49.0 / ALIKE / scale_px**2 * self.weights / (1 + squares) ** 2)[..., None, None]
        is_free = self.prior > 0
        precision = torch.where(is_free, 1 / torch.where(is_free, self.prior, 1).square(), 0)
        weighted = robust * by_camera
        return _NormalEquations(
            cameras=torch.einsum("cnri,cnrk->cik", weighted, by_camera) + precision.diag_embed(),
            points=torch.einsum("cnri,cnrk->nik", robust * by_point, by_point),
            mixed=torch.einsum("cnri,cnrk->cnik", weighted, by_point),
            camera_slope=torch.einsum("cnri,cnr->ci", weighted, residuals) + precision * rig.changes(self.start),
            point_slope=torch.einsum("cnri,cnr->ni", robust * by_point, residuals),
            is_free=is_free,
        )

    def deviations(self, rig: RigModel, points: Float[Tensor, "n 3"], scale_px: float) -> Float[Tensor, "c 10"]:
        """From the inverse of what the points leave to the cameras."""
        system = self.normal_equations(rig, points, scale_px)
        found = torch.zeros_like(self.prior)
        found[system.is_free] = torch.linalg.inv(system.reduced(1e-9)[0]).diagonal().clamp_min(0).sqrt()
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _NormalEquations:
    """Second derivatives by blocks, and slopes, of the cost."""

    cameras: Float[Tensor, "c 10 10"]
    points: Float[Tensor, "n 3 3"]
    mixed: Float[Tensor, "c n 10 3"]
    camera_slope: Float[Tensor, "c 10"]
    point_slope: Float[Tensor, "n 3"]
    is_free: Tensor

    def reduced(self, damping: float) -> tuple[Tensor, Tensor, Tensor]:
        """Matrix and slope of the free freedoms alone, the points being solved for (Schur's complement)."""
        count = len(self.cameras)
        inverse = torch.linalg.inv(_damped(self.points, damping))
        carried = self.mixed @ inverse
        matrix = torch.block_diag(*_damped(self.cameras, damping)).reshape(count, NUM_FREEDOMS, count, NUM_FREEDOMS)
        matrix = matrix - torch.einsum("cnia,dnka->cidk", carried, self.mixed)
        slope = self.camera_slope - torch.einsum("cnia,na->ci", carried, self.point_slope)
        free = self.is_free.flatten()
        return matrix.reshape(len(free), len(free))[free][:, free], slope.flatten()[free], inverse

    def step(self, damping: float) -> tuple[Float[Tensor, "c 10"], Float[Tensor, "n 3"]]:
        """The step of cameras and points to the minimum of the quadratic model."""
        matrix, slope, inverse = self.reduced(damping)
        turn = torch.zeros_like(self.camera_slope)
        turn[self.is_free] = -torch.linalg.solve(matrix, slope)
        rest = self.point_slope + torch.einsum("cnia,ci->na", self.mixed, turn)
        return turn, -(inverse @ rest[..., None])[..., 0]


def _damped(blocks: Float[Tensor, "b d d"], damping: float) -> Float[Tensor, "b d d"]:
    diagonal = blocks.diagonal(dim1=1, dim2=2)
    return blocks + (damping * diagonal + 1e-12 * diagonal.amax(dim=1, keepdim=True) + 1e-30).diag_embed()


def _prior(cameras: Sequence[Camera], config: BundleConfig) -> Float[Tensor, "c 10"]:
    """Standard deviations of all freedoms; zero for those that are not free."""
    prior = torch.zeros(len(cameras), NUM_FREEDOMS, dtype=torch.float64)
    prior[:, TURN], prior[:, SHIFT], prior[:, FOCAL] = config.turn_rad, config.shift_m, config.focal
    sides = torch.tensor([max(camera.height, camera.width) for camera in cameras], dtype=torch.float64)
    prior[:, PRINCIPAL], prior[:, RADIAL] = config.principal * sides[:, None], config.radial
    return prior
