"""One evaluation of a radiance field, forward and backward: distances, normals and colours of samples along rays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from avatar.canonical import CanonicalField, FieldConfig
from avatar.engine import (
    HashGrid,
    OccupancyGrid,
    distance_field,
    distance_field_reference,
    hash_encode,
    relu_net,
    relu_net_reference,
)
from avatar.structs import RaySamples

from .case import Case, Curve
from .hash_grid import COUNT, points_on_rays

DISTANCE_WIDTHS, COLOR_WIDTHS, BETA = (27, 64, 13), (19, 64, 64, 3), 100.0
GOAL_MS, FLOOR_MS = 90, 120


def cases() -> list[Case]:
    """The canonical field, and the kernels alone in MetaCap's sizes (Sun et al. 2024) beside their peers."""
    found = [_judged(f"{COUNT // 1000}k samples, whole", CanonicalTask().both)]
    for log2 in (17, 19):
        scene = f"{COUNT // 1000}k samples, 2^{log2} rows"
        task = FieldTask(log2_table_size=log2)
        found.append(Case(scene=scene, passes="forward", run=torch.no_grad()(task.loss)))
        found.append(_judged(scene, task.both))
        for by, peer, rounds in (("torch nets", TorchNets, 5), ("torch", Specification, 1)):
            run = peer(log2_table_size=log2).both
            found.append(Case(scene=scene, passes="both", run=run, by=by, rounds=rounds))
    return found


def _judged(scene: str, run: Callable[[], object]) -> Case:
    return Case(scene=scene, passes="both", run=run, goal_ms=GOAL_MS, floor_ms=FLOOR_MS)


def curves() -> list[Curve]:
    """Over samples."""
    counts = (25_000, 50_000, 100_000, 200_000)
    points = [(n, Case(scene=f"{n} samples", passes="both", run=FieldTask(count=n).both)) for n in counts]
    return [Curve(name="field, both", along="samples", points=points)]


def _loss(distances: Tensor, gradients: Tensor, colors: Tensor) -> Tensor:
    """On distances, the lengths of their gradients, and colours."""
    return distances.abs().mean() + (gradients.norm(dim=-1) - 1).square().mean() + colors.square().mean()


class CanonicalTask:
    """All samples of the canonical field, coloured."""

    def __init__(self) -> None:
        box = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        self.field = CanonicalField(OccupancyGrid(torch.ones(64, 64, 64, dtype=torch.bool), box), FieldConfig())
        points, lengths = points_on_rays(COUNT), torch.full((COUNT,), 0.01)
        directions = normalize(torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
        self.samples = RaySamples(points=points, directions=directions, lengths=lengths)

    def both(self) -> tuple[Tensor, ...]:
        """Forward and backward."""
        field = self.field()
        shape = field.shape(self.samples)
        loss = _loss(shape.distances, shape.gradients, field.radiance(shape)) + shape.alphas.mean()
        return torch.autograd.grad(loss, list(self.field.parameters()))


@dataclass
class FieldTask:
    """The kernels of a field on samples along rays, and what is learnt."""

    count: int = COUNT
    log2_table_size: int = 17
    learnt: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.grid = HashGrid(num_levels=12, log2_table_size=self.log2_table_size, per_level_scale=1.447269)
        self.points = points_on_rays(self.count)
        self.directions = normalize(self._draw(self.count, 3), dim=-1)
        self.table = 1e-4 * self._draw(self.grid.num_rows, 2)
        self.distance_net, self.color_net = self._layers(DISTANCE_WIDTHS), self._layers(COLOR_WIDTHS)
        self.learnt = [self.table, *self.distance_net, *self.color_net]
        for tensor in self.learnt:
            tensor.requires_grad_()

    def distances(self) -> tuple[Tensor, Tensor]:
        """Of the samples, with features beside them; and their gradients."""
        w1, b1, w2, b2 = self.distance_net
        return distance_field(self.points, self.table, self.grid, w1, b1, w2, b2, BETA)

    def colors(self, inputs: Tensor) -> Tensor:
        """Before the sigmoid."""
        return relu_net(inputs, self.color_net[::2], self.color_net[1::2])

    def loss(self) -> Tensor:
        """All of the forward pass."""
        outputs, gradients = self.distances()
        colors = self.colors(torch.cat([outputs, self.directions, normalize(gradients, dim=-1)], 1)).sigmoid()
        return _loss(outputs[:, 0], gradients, colors)

    def both(self) -> tuple[Tensor, ...]:
        """Forward and backward."""
        return torch.autograd.grad(self.loss(), self.learnt)

    def _draw(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=torch.Generator().manual_seed(len(size) * sum(size)))

    def _layers(self, widths: tuple[int, ...]) -> list[Tensor]:
        layers: list[Tensor] = []
        for before, after in pairwise(widths):
            layers += [self._draw(after, before) / before**0.5, self._draw(after)]
        return layers


class TorchNets(FieldTask):
    """The engine's grid, all else in torch."""

    def distances(self) -> tuple[Tensor, Tensor]:
        w1, b1, w2, b2 = self.distance_net
        with torch.enable_grad():
            points = self.points.detach().requires_grad_()
            inputs = torch.cat([2 * points - 1, hash_encode(points, self.table, self.grid)], 1)
            outputs = softplus(inputs @ w1.mT + b1, BETA) @ w2.mT + b2
            (gradients,) = torch.autograd.grad(outputs[:, 0].sum(), points, create_graph=True)
        return outputs, gradients

    def colors(self, inputs: Tensor) -> Tensor:
        return relu_net_reference(inputs, self.color_net[::2], self.color_net[1::2])


class Specification(TorchNets):
    """Everything in torch."""

    def distances(self) -> tuple[Tensor, Tensor]:
        w1, b1, w2, b2 = self.distance_net
        return distance_field_reference(self.points, self.table, self.grid, w1, b1, w2, b2, BETA)
