"""A radiance field in the canonical frame: a hash grid, and small networks for what is there and how it looks.

Distance and colour of NeuS (Wang et al. 2021) on the grid of Instant-NGP (Müller et al. 2022), laid out as in MetaCap
(Sun et al. 2024); or a density in place of the distance, as in Dual-Space NeRF (Zhi et al. 2022).
"""

import logging
import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from avatar.engine import (
    HashGrid,
    OccupancyGrid,
    distance_field,
    hash_encode,
    neus_alphas,
    relu_net,
    truncated_exp,
)
from avatar.structs import FieldShape, RadianceField, RaySamples

logger = logging.getLogger(__name__)

BETA = 100.0  # sharpness of the softplus of the distance net, 1 / its input's unit
_SHARPNESS_SCALE = 10.0
_START_RADIUS_M = 0.5
_DENSITY_SCALE = 20.0  # 1 / m: how fast the density's logarithm changes with the head's output
_DENSITY_OF_SURFACE = 100.0  # 1 / m: where a density counts as the surface
_TAIL = 4.0  # a logistic density is nothing so many of its widths from the surface
_CHUNK = 2**17


@dataclass(frozen=True, kw_only=True)
class SdfHead:
    """Signed distance, opaque by NeuS.

    Attributes:
        sharpness: of the density around the surface at the start, 1 / m.
        cos_anneal: 0 lets gradients through where rays leave the surface, 1 does not (``neus_alphas``).
    """

    sharpness: float = math.exp(3.0)
    cos_anneal: float = 0.1

    def __post_init__(self) -> None:
        if not self.sharpness > 0:
            raise ValueError(f"SdfHead.sharpness: expected a positive number, got {self.sharpness}")
        if not 0 <= self.cos_anneal <= 1:
            raise ValueError(f"SdfHead.cos_anneal: expected 0 to 1, got {self.cos_anneal}")


@dataclass(frozen=True, kw_only=True)
class DensityHead:
    """Density, the exponential of the net's output; what stands for a distance is minus its logarithm.

    It is no distance: fits with it want no eikonal and no sparsity loss.
    """


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """The field's parts.

    Attributes:
        grid: the hash grid, over a cube around the body.
        head: what the first output of the distance net means.
        hidden: width of both networks.
        num_features: what the colour is told of the place.
        num_codes: numbers that say more about the moment, such as the pose; 0 for none.
        has_view_dependence: whether the colour depends on the direction and the normal.
        step_m: least and greatest length of a sample's interval, metres: as fine as the density is sharp.
    """

    grid: HashGrid = field(
        default_factory=lambda: HashGrid(num_levels=12, log2_table_size=17, per_level_scale=1.447269)
    )
    head: SdfHead | DensityHead = field(default_factory=SdfHead)
    hidden: int = 64
    num_features: int = 12
    num_codes: int = 0
    has_view_dependence: bool = True
    step_m: tuple[float, float] = (0.004, 0.012)

    def __post_init__(self) -> None:
        for name, least in (("hidden", 1), ("num_features", 1), ("num_codes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"FieldConfig.{name}: expected {least} or more, got {getattr(self, name)}")
        if not 0 < self.step_m[0] <= self.step_m[1]:
            raise ValueError(f"FieldConfig.step_m: expected two positive lengths, the least first, got {self.step_m}")


class CanonicalField(nn.Module):
    """Owns grid and networks; calling it gives the field as functions of canonical places, metres.

    The distance starts as that from a sphere of half a metre about the middle of the band (geometric initialisation,
    Atzmon and Lipman 2020).

    Attributes:
        table: rows of the hash grid.
        log_sharpness: of the density around the surface, over ten; of a distance head alone.
        cube: lowest and highest corner of what the hash grid covers, metres.
        occupied, box: cells that may hold something: at first the band around the body, fewer after ``tighten``.
    """

    cube: Float[Tensor, "2 3"]
    box: Float[Tensor, "2 3"]
    occupied: Bool[Tensor, "x y z"]

    def __init__(self, band: OccupancyGrid, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        inputs, hidden, features = 3 + config.grid.num_features, config.hidden, config.num_features
        looks = features + 1 + config.grid.num_features + (6 if config.has_view_dependence else 0)
        middle, half = band.box.mean(0), float(band.box.diff(dim=0).max()) / 2
        rows = torch.empty(config.grid.num_rows, config.grid.features_per_level)
        self.table = nn.Parameter(rows.uniform_(-1e-4, 1e-4))
        self.distance_in = nn.Linear(inputs, hidden)
        self.distance_out = nn.Linear(hidden, features + 1)
        self.codes = nn.Parameter(torch.zeros(hidden, config.num_codes)) if config.num_codes else None
        self.colors = nn.ModuleList(nn.Linear(*sizes) for sizes in ((looks, hidden), (hidden, hidden), (hidden, 3)))
        self.register_buffer("cube", torch.stack([middle - half, middle + half]))
        self.register_buffer("box", band.box.clone())
        self.register_buffer("occupied", band.occupied.clone())
        self._start()
        self._band: OccupancyGrid | None = None
        match config.head:
            case SdfHead(sharpness=sharpness):
                self.log_sharpness = nn.Parameter(torch.tensor(math.log(sharpness) / _SHARPNESS_SCALE))
            case DensityHead():
                pass

    @torch.no_grad()
    def _start(self) -> None:
        """A sphere: ``|x| - radius``, of which the grid knows nothing."""
        first, last = self.distance_in, self.distance_out
        nn.init.zeros_(first.weight)
        nn.init.normal_(first.weight[:, :3], std=math.sqrt(2 / self.config.hidden))
        nn.init.zeros_(first.bias)
        half_m = float(self.cube[1, 0] - self.cube[0, 0]) / 2  # the net is told places from -1 to 1
        nn.init.normal_(last.weight[0], mean=half_m * math.sqrt(math.pi / self.config.hidden), std=1e-4)
        nn.init.constant_(last.bias[0], -_START_RADIUS_M)

    @property
    def grid(self) -> OccupancyGrid:
        """The cells that may hold something; the same object until they change."""
        if self._band is None or self._band.occupied is not self.occupied or self._band.box is not self.box:
            self._band = OccupancyGrid(self.occupied, self.box)
        return self._band

    @property
    def sharpness(self) -> Float[Tensor, ""]:
        """Inverse standard deviation of the density around the surface, 1 / m."""
        return (self.log_sharpness * _SHARPNESS_SCALE).exp()

    def forward(self) -> RadianceField:
        """The field in the canonical frame."""
        return RadianceField(
            shape=self._shape,
            radiance=self._radiance,
            distance=self._distance,
            grid=self.grid,
            step_m=self._step_m(),
        )

    def _step_m(self) -> float:
        finest, coarsest = self.config.step_m
        match self.config.head:
            case SdfHead():
                return min(max(finest, 1 / float(self.sharpness.detach())), coarsest)
            case DensityHead():
                return finest

    def _shape(self, samples: RaySamples) -> FieldShape:
        warped = samples.warped
        points = samples.points if warped is None else warped.points
        outputs, gradients = self._evaluated(points, samples.code)
        normals = normalize(gradients, dim=-1)
        if warped is not None:
            gradients = (warped.linear.mT @ gradients[..., None])[..., 0]
        distances = outputs[:, 0]
        return FieldShape(
            samples=samples,
            alphas=self._alphas(distances, gradients, samples),
            distances=distances,
            gradients=gradients,
            canonical_normals=normals,
            features=outputs,
        )

    def _evaluated(self, points: Tensor, code: Tensor | None) -> tuple[Float[Tensor, "s o"], Float[Tensor, "s 3"]]:
        """Outputs of the distance net, and the gradient of the first by the points; both can be differentiated."""
        first, last, bias = self.distance_in, self.distance_out, self.distance_in.bias
        if self.codes is not None and code is not None:
            bias = bias + self.codes @ code
        net = (first.weight, bias, last.weight, last.bias)
        outputs, gradients = distance_field(self._in_cube(points), self.table, self.config.grid, *net, BETA)
        return outputs, gradients / (self.cube[1] - self.cube[0])

    def _in_cube(self, points: Float[Tensor, "s 3"]) -> Float[Tensor, "s 3"]:
        """From 0 to 1."""
        return (points - self.cube[0]) / (self.cube[1] - self.cube[0])

    def _alphas(self, distances: Tensor, gradients: Tensor, samples: RaySamples) -> Float[Tensor, " s"]:
        match self.config.head:
            case SdfHead(cos_anneal=cos_anneal):
                cosines = (normalize(gradients, dim=-1) * samples.directions).sum(-1)
                return neus_alphas(distances, cosines, samples.lengths, self.sharpness, cos_anneal)
            case DensityHead():
                return -torch.expm1(-truncated_exp(-_DENSITY_SCALE * distances) * samples.lengths)

    def _radiance(self, shape: FieldShape) -> Float[Tensor, "s 3"]:
        warped, directions = shape.samples.warped, shape.samples.directions
        points = shape.samples.points if warped is None else warped.points
        looks = [shape.features, hash_encode(self._in_cube(points), self.table, self.config.grid)]
        if self.config.has_view_dependence:
            if warped is not None:
                directions = normalize((warped.linear @ directions[..., None])[..., 0], dim=-1)
            looks += [0.5 + 0.5 * directions, shape.canonical_normals]
        layers = [(layer.weight, layer.bias) for layer in self.colors]
        return relu_net(torch.cat(looks, 1), *zip(*layers, strict=True)).sigmoid()

    @torch.no_grad()
    def _distance(self, points: Float[Tensor, "s 3"], code: Float[Tensor, " d"] | None = None) -> Float[Tensor, " s"]:
        distances = [self._evaluated(chunk, code)[0][:, 0] for chunk in points.split(_CHUNK)]
        return torch.cat([points.new_zeros(0), *distances]) + self.surface_level

    @property
    def surface_level(self) -> float:
        """What the first output of the distance net falls short of the distance by."""
        is_density = isinstance(self.config.head, DensityHead)
        return math.log(_DENSITY_OF_SURFACE) / _DENSITY_SCALE if is_density else 0.0

    @torch.no_grad()
    def tighten(self, margin_m: float) -> None:
        """Empty the cells that are farther than ``margin_m`` from the surface, on either side, and hold no density.

        Density falls off over the inverse of the sharpness, so nothing is emptied while the surface is still vague.
        """
        sizes = self.box.new_tensor(self.occupied.shape)
        cells = self.occupied.nonzero()
        middles = self.box[0] + (cells + 0.5) * ((self.box[1] - self.box[0]) / sizes)
        reach = margin_m + float(((self.box[1] - self.box[0]) / sizes).norm()) / 2
        if isinstance(self.config.head, SdfHead):
            reach += _TAIL / float(self.sharpness)
        is_near = self._distance(middles).abs() < reach
        if not bool(is_near.any()):
            logger.warning("no surface near the body: all cells of the band are kept")
            return
        occupied = torch.zeros_like(self.occupied)
        occupied[tuple(cells[is_near].T)] = True
        self.occupied = occupied
