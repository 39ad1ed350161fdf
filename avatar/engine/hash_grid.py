"""The multiresolution hash grid (Müller et al. 2022): its levels, and the layout of its table."""

import ctypes
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from .library import integers, numbers


class HashLevel(NamedTuple):
    """One level: ``position = scale * point + 0.5``; ``num_rows`` rows of the table from ``first_row`` on."""

    scale: float
    resolution: int
    first_row: int
    num_rows: int
    is_hashed: bool


@dataclass(frozen=True, kw_only=True)
class HashGrid:
    """Shape of a hash grid over the unit cube, in the layout of tiny-cuda-nn: tables can be exchanged with it.

    Level l has ``ceil(base_resolution * per_level_scale ** l - 1) + 1`` vertices along each axis. Where they all fit
    into ``2 ** log2_table_size`` rows each has its own, x fastest; else rows are hashed. The default reaches 2048.
    """

    num_levels: int = 16
    features_per_level: int = 2
    log2_table_size: int = 19
    base_resolution: int = 16
    per_level_scale: float = 2 ** (7 / 15)
    interpolation: Literal["linear", "smoothstep"] = "linear"

    def __post_init__(self) -> None:
        """Check the values, and that 32 bits can number rows and vertices."""
        ranges = {"num_levels": (1, 128), "log2_table_size": (3, 28), "base_resolution": (1, 1 << 20)}
        for name, (lowest, highest) in ranges.items():
            if not lowest <= getattr(self, name) <= highest:
                raise ValueError(f"HashGrid: {name}: expected {lowest} to {highest}, got {getattr(self, name)}")
        if self.features_per_level not in (1, 2, 4, 8):
            raise ValueError(f"HashGrid: features_per_level: expected 1, 2, 4 or 8, got {self.features_per_level}")
        if not self.per_level_scale >= 1:
            raise ValueError(f"HashGrid: per_level_scale: expected at least 1, got {self.per_level_scale}")
        if self.interpolation not in ("linear", "smoothstep"):
            raise ValueError(f"HashGrid: interpolation: expected linear or smoothstep, got {self.interpolation}")
        finest = (self.num_levels - 1) * math.log2(self.per_level_scale) + math.log2(self.base_resolution)
        if not finest <= 24:
            raise ValueError(f"HashGrid: per_level_scale: expected a finest resolution up to 2^24, got 2^{finest:.1f}")

    @cached_property
    def levels(self) -> tuple[HashLevel, ...]:
        """All levels, coarsest first; every number is rounded to float32 where tiny-cuda-nn rounds it."""
        levels, first_row = [], 0
        log2_scale = _float32(math.log2(_float32(self.per_level_scale)))
        for index in range(self.num_levels):
            growth = _float32(2 ** _float32(index * log2_scale))
            scale = _float32(_float32(growth * self.base_resolution) - 1)
            resolution = math.ceil(scale) + 1
            num_rows = min(-(-(resolution**3) // 8) * 8, 1 << self.log2_table_size)
            levels.append(HashLevel(scale, resolution, first_row, num_rows, resolution**3 > num_rows))
            first_row += num_rows
        return tuple(levels)

    @property
    def num_rows(self) -> int:
        """Rows of the table, over all levels."""
        return self.levels[-1].first_row + self.levels[-1].num_rows

    @property
    def num_features(self) -> int:
        """Features of a point, over all levels."""
        return self.num_levels * self.features_per_level


class LevelStructure(ctypes.Structure):
    """A level as the kernels take it."""

    _fields_ = [*numbers("scale"), *integers("resolution first_row num_rows is_hashed")]


def _float32(value: float) -> float:
    return ctypes.c_float(value).value
