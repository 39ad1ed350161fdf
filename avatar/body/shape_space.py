"""How a few meaningful numbers in bounded ranges move the points of a body."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.structs import Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapeSpace:
    """Known people at the nodes of a regular grid over the shape parameters, interpolated multilinearly.

    Attributes:
        names: what each parameter means.
        low: the parameters at the first node of every axis.
        high: the parameters at the last node of every axis.
        grid: coefficients at the nodes, one axis a parameter, then the ``d`` coefficients.
    """

    names: tuple[str, ...]
    low: Float[Tensor, " p"]
    high: Float[Tensor, " p"]
    grid: Float[Tensor, "*nodes d"]

    def coefficients(self, shape: Shape) -> Float[Tensor, " d"]:
        """Coefficients of ``shape``. Values outside ``low .. high`` count as the nearest end (zero gradient there).

        Raises ValueError when the shape's names are not this space's, in order.
        """
        if shape.names != self.names:
            raise ValueError(f"shape.names: expected {self.names}, found {shape.names}")
        positions = (shape.values.to(self.low) - self.low) / (self.high - self.low)
        grid = self.grid
        for position in positions:
            intervals = grid.shape[0] - 1
            position = (position * intervals).clamp(0, intervals)
            node = min(int(position.detach()), intervals - 1)
            grid = torch.lerp(grid[node], grid[node + 1], position - node)
        return grid


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearShapes:
    """Principal components of people: any numbers are somebody, zero is the mean.

    Attributes:
        names: what each parameter is called.
        low, high: how far it makes sense to go, three standard deviations.
    """

    names: tuple[str, ...]
    low: Float[Tensor, " p"]
    high: Float[Tensor, " p"]

    def rows(self, shape: Shape) -> list[int]:
        """Which parameters ``shape`` has; the others are zero. ValueError when it has another, or one twice."""
        known = {name: row for row, name in enumerate(self.names)}
        if unknown := [name for name in shape.names if name not in known]:
            raise ValueError(f"shape.names: expected names among {_ends(self.names)}, found {', '.join(unknown)}")
        if len(set(shape.names)) < len(shape.names):
            raise ValueError(f"shape.names: expected each once, found {shape.names}")
        return [known[name] for name in shape.names]


def _ends(names: tuple[str, ...]) -> str:
    return f"{names[0]} to {names[-1]}"


@dataclass(frozen=True, kw_only=True, eq=False)
class BlendShapes:
    """Values that are affine in the coefficients of a shape space.

    Attributes:
        base: the values where all coefficients are zero.
        directions: how much one unit of each coefficient adds.
    """

    base: Float[Tensor, "*size"]
    directions: Float[Tensor, " d *size"]

    def __call__(self, coefficients: Float[Tensor, " d"]) -> Float[Tensor, "*size"]:
        """``base + sum_i coefficients_i directions_i``."""
        return self.base + (coefficients @ self.directions.flatten(1)).view_as(self.base)

    def of(self, rows: list[int]) -> "BlendShapes":
        """The same with these directions alone."""
        is_first = rows == list(range(len(rows)))
        return replace(self, directions=self.directions[: len(rows)] if is_first else self.directions[rows])
