"""The layout of hash grids against published figures and numbers worked out by hand."""

import numpy as np
import pytest

from avatar.engine import HashGrid


def test_the_grid_of_a_published_method():
    """Twelve levels that grow by 1.447269: five dense ones, 4,202,808 rows in all."""
    grid = HashGrid(num_levels=12, per_level_scale=1.447269)
    assert [level.resolution for level in grid.levels] == [16, 24, 34, 49, 71, 102, 148, 213, 308, 446, 646, 934]
    assert [level.is_hashed for level in grid.levels] == 5 * [False] + 7 * [True]
    assert grid.num_rows == 4_202_808
    assert grid.num_features == 24


def test_exact_powers_keep_their_resolution():
    """Doubling from 16: scales are whole, so that no vertex is added; 64³ fits into 2^18 rows exactly, not 128³."""
    grid = HashGrid(num_levels=4, base_resolution=16, per_level_scale=2.0, log2_table_size=18)
    assert [level.scale for level in grid.levels] == [15, 31, 63, 127]
    assert [level.resolution for level in grid.levels] == [16, 32, 64, 128]
    assert [level.num_rows for level in grid.levels] == [4096, 32768, 262144, 262144]
    assert [level.is_hashed for level in grid.levels] == [False, False, False, True]


def test_sizes_are_multiples_of_eight():
    """3³ = 27 vertices take 32 rows; the next level begins after them."""
    grid = HashGrid(num_levels=2, base_resolution=3, per_level_scale=1.0)
    assert [(level.first_row, level.num_rows) for level in grid.levels] == [(0, 32), (32, 32)]


def test_scales_are_rounded_as_single_precision():
    """log2 of the growth and its multiples are rounded before the power: the finest scale misses 2047 by 0.0013."""
    grid = HashGrid()
    exponents = np.arange(16, dtype=np.float32) * np.log2(np.float32(grid.per_level_scale))
    scales = np.exp2(exponents) * np.float32(16) - np.float32(1)
    np.testing.assert_allclose([level.scale for level in grid.levels], scales, rtol=2e-7)
    assert all(level.scale == np.float32(level.scale) for level in grid.levels)
    assert grid.levels[-1].scale == 2047 - 11 * 2**-13
    assert grid.levels[-1].resolution == 2048


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_levels": 0}, "num_levels: expected 1 to 128, got 0"),
        ({"log2_table_size": 29}, "log2_table_size: expected 3 to 28, got 29"),
        ({"base_resolution": 0}, "base_resolution: expected 1 to 1048576, got 0"),
        ({"features_per_level": 3}, "features_per_level: expected 1, 2, 4 or 8, got 3"),
        ({"per_level_scale": 0.9}, "per_level_scale: expected at least 1, got 0.9"),
        ({"per_level_scale": float("nan")}, "per_level_scale: expected at least 1, got nan"),
        ({"per_level_scale": 4.0}, r"per_level_scale: expected a finest resolution up to 2\^24, got 2\^34.0"),
    ],
)
def test_wrong_fields_are_named(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        HashGrid(**fields)
