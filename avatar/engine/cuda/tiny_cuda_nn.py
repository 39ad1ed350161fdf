"""The hash grid by tiny-cuda-nn (Müller 2021), in single precision; the same table serves both."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from ..hash_encode import check_hash_inputs, hash_encode_reference
from ..hash_grid import HashGrid
from .extras import extra


def hash_encode(points: Float[Tensor, "n 3"], table: Float[Tensor, "m d"], grid: HashGrid) -> Float[Tensor, "n e"]:
    """``avatar.engine.hash_encode`` of float32 CUDA tensors; the gradient of the table's gradient does not exist here.

    Sums are rounded as single precision in an order that changes from run to run. Raises ValueError as the engine does
    or for tensors of another kind, ImportError where tiny-cuda-nn cannot be loaded.
    """
    check_hash_inputs(points, table, grid)
    if points.dtype != torch.float32 or points.device.type != "cuda" or table.device != points.device:
        found = f"{points.dtype} on {points.device} and {table.device}"
        raise ValueError(f"hash_encode: expected float32 tensors on one CUDA device, got {found}")
    if len(points) == 0:
        return hash_encode_reference(points, table, grid)
    module = _encoding(grid, points.get_device())
    return torch.func.functional_call(module, {"params": table.flatten()}, points.clamp(0, 1))


@cache
def _encoding(grid: HashGrid, device_index: int) -> torch.nn.Module:
    """Its module for a grid; its own parameters are never used, and freed."""
    with torch.cuda.device(device_index):
        module = extra("tinycudann").Encoding(3, encoding_config(grid), dtype=torch.float32)
    if module.params.numel() != grid.num_rows * grid.features_per_level:
        raise ValueError(
            f"hash_encode: grid: expected {grid.num_rows} rows as tiny-cuda-nn counts them, "
            f"got {module.params.numel() // grid.features_per_level} from it; its version may differ"
        )
    module.params.data = module.params.data.new_empty(0)
    return module


def encoding_config(grid: HashGrid) -> dict[str, str | int | float]:
    """A grid in the words of tiny-cuda-nn."""
    return {
        "otype": "Grid",
        "type": "Hash",
        "n_levels": grid.num_levels,
        "n_features_per_level": grid.features_per_level,
        "log2_hashmap_size": grid.log2_table_size,
        "base_resolution": grid.base_resolution,
        "per_level_scale": grid.per_level_scale,
        "interpolation": {"linear": "Linear", "smoothstep": "Smoothstep"}[grid.interpolation],
    }
