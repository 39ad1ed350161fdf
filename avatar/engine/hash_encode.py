"""Features of points from a hash grid, with gradients of gradients, and their plain-torch specification."""

import ctypes
import math
from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .hash_grid import HashGrid, HashLevel, LevelStructure
from .library import call, integers, is_compiled, pointers

PRIMES = (1, 2654435761, 805459861)
CORNERS = tuple((x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1))

_INPUTS = "Tensor points, Tensor table, Tensor? directions, int[] grid, float per_level_scale"
torch.library.define("avatar::hash_encode", f"({_INPUTS}) -> Tensor")
torch.library.define(
    "avatar::hash_encode_backward", f"(Tensor v_features, {_INPUTS}, bool[] wants) -> (Tensor, Tensor)"
)


class HashScene(ctypes.Structure):
    """Points and a table as kernels take them."""

    _fields_ = [
        *integers("num_points num_levels num_features is_smooth row_length"),
        *pointers("levels points directions table"),
    ]


class HashEncodeArguments(ctypes.Structure):
    """Of the kernel ``hash_encode``."""

    _fields_ = [("scene", HashScene), *pointers("features jacobian")]


class HashGradientArguments(ctypes.Structure):
    """Of the kernel ``hash_encode_backward``."""

    _fields_ = [("scene", HashScene), *pointers("out_features out_moved points table")]


def hash_encode(points: Float[Tensor, "n 3"], table: Float[Tensor, "m d"], grid: HashGrid) -> Float[Tensor, "n e"]:
    """Features of points in the unit cube, interpolated on every level of a hash grid (Müller et al. 2022, section 3).

    Args:
        points: in [0, 1]; those outside take the features of the nearest point of the cube and get no gradient.
        table: ``grid.num_rows`` rows of ``grid.features_per_level``, level after level.
        grid: shape of the grid.

    Returns:
        ``grid.num_features`` for each point, level after level. NaN points give NaN.

    Differentiable twice with respect to points and table, which normals of a distance field and their losses need. The
    derivative by a position jumps between cells unless ``grid.interpolation`` is smoothstep. Raises ValueError when
    shapes or dtypes do not fit.
    """
    check_hash_inputs(points, table, grid)
    if not is_compiled() or points.device.type != "cpu":
        return hash_encode_reference(points, table, grid)
    return torch.ops.avatar.hash_encode(points.contiguous(), table.contiguous(), None, *packed_grid(grid))


def hash_encode_reference(
    points: Float[Tensor, "n 3"], table: Float[Tensor, "m d"], grid: HashGrid
) -> Float[Tensor, "n e"]:
    """The same in plain torch, for any device; differentiable as often as one likes."""
    check_hash_inputs(points, table, grid)
    upper = torch.tensor(CORNERS, device=points.device)[:, None]
    rows, weights = [], []
    for level in grid.levels:
        positions = points.clamp(0, 1) * level.scale + 0.5
        floors = positions.detach().floor().nan_to_num()
        fractions = positions - floors
        if grid.interpolation == "smoothstep":
            fractions = fractions * fractions * (3 - 2 * fractions)
        rows.append(level.first_row + _rows(floors.long() + upper, level))
        weights.append(math.prod(torch.where(upper > 0, fractions, 1 - fractions).unbind(-1)))
    corners = torch.stack(weights, 1)[..., None] * table[torch.stack(rows, 1)]
    return corners.sum(0).transpose(0, 1).flatten(1)


def _rows(vertices: Tensor, level: HashLevel) -> Tensor:
    """Rows of grid vertices within their level: dense ones wrap at its end, hashes are 32-bit numbers."""
    x, y, z = vertices.unbind(-1)
    if not level.is_hashed:
        return (x + (y + z * level.resolution) * level.resolution) % level.num_rows
    return ((x * PRIMES[0]) ^ (y * PRIMES[1]) ^ (z * PRIMES[2])) % level.num_rows


def check_hash_inputs(points: Tensor, table: Tensor, grid: HashGrid) -> None:
    """ValueError that names what does not fit."""
    for name, tensor, shape in (
        ("points", points, (len(points), 3)),
        ("table", table, (grid.num_rows, grid.features_per_level)),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"hash_encode: {name}: expected shape {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != points.dtype or tensor.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"hash_encode: {name}: expected float32 or float64 as the points, got {tensor.dtype}")


def packed_grid(grid: HashGrid) -> tuple[list[int], float]:
    """A grid as operators take it."""
    is_smooth = int(grid.interpolation == "smoothstep")
    shape = [grid.num_levels, grid.features_per_level, grid.log2_table_size, grid.base_resolution, is_smooth]
    return shape, grid.per_level_scale


@cache
def _unpacked(shape: tuple[int, ...], per_level_scale: float) -> tuple[HashGrid, ctypes.Array]:
    levels, features, log2_size, base, is_smooth = shape
    grid = HashGrid(
        num_levels=levels,
        features_per_level=features,
        log2_table_size=log2_size,
        base_resolution=base,
        per_level_scale=per_level_scale,
        interpolation="smoothstep" if is_smooth else "linear",
    )
    return grid, (LevelStructure * levels)(*grid.levels)


def hash_scene(
    points: Tensor,
    table: Tensor,
    directions: Tensor | None,
    shape: Sequence[int],
    per_level_scale: float,
    before: int = 0,
) -> HashScene:
    """What kernels are told; ``before``: other numbers ahead of a point's features."""
    grid, levels = _unpacked(tuple(shape), per_level_scale)
    is_smooth = grid.interpolation == "smoothstep"
    sizes = (len(points), grid.num_levels, grid.features_per_level, is_smooth, before + grid.num_features)
    where = None if directions is None else directions.data_ptr()
    return HashScene(*sizes, ctypes.addressof(levels), points.data_ptr(), where, table.data_ptr())


@torch.library.impl("avatar::hash_encode", "cpu")
def _forward(points: Tensor, table: Tensor, directions: Tensor | None, grid: list[int], scale: float) -> Tensor:
    features = _forward_fake(points, table, directions, grid, scale)
    arguments = HashEncodeArguments(hash_scene(points, table, directions, grid, scale), features.data_ptr())
    call("hash_encode", points.dtype, arguments)
    return features


@torch.library.register_fake("avatar::hash_encode")
def _forward_fake(points: Tensor, table: Tensor, directions: Tensor | None, grid: list[int], scale: float) -> Tensor:
    del table, directions, scale
    return points.new_empty(len(points), grid[0] * grid[1])


@torch.library.impl("avatar::hash_encode_backward", "cpu")
def _backward(v_features: Tensor, *inputs) -> tuple[Tensor, Tensor]:
    gradients = _backward_fake(v_features, *inputs)
    addresses = [t.data_ptr() if wanted else None for t, wanted in zip(gradients, inputs[-1], strict=True)]
    arguments = HashGradientArguments(hash_scene(*inputs[:-1]), v_features.data_ptr(), None, *addresses)
    call("hash_encode_backward", v_features.dtype, arguments)
    return gradients


@torch.library.register_fake("avatar::hash_encode_backward")
def _backward_fake(v_features: Tensor, points: Tensor, table: Tensor, *rest) -> tuple[Tensor, Tensor]:
    del v_features
    wants_points, wants_table = rest[-1]
    points_shape = points.shape if wants_points else (0,)
    return points.new_empty(points_shape), table.new_empty(table.shape if wants_table else (0,))


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    del output
    points, table, directions, *ctx.grid = inputs
    assert directions is None
    ctx.save_for_backward(points, table)


def _differentiate(ctx, v_features: Tensor) -> tuple:
    wants = list(ctx.needs_input_grad[:2])
    points, table = ctx.saved_tensors
    inputs = (v_features.contiguous(), points, table, None, *ctx.grid, wants)
    gradients = torch.ops.avatar.hash_encode_backward(*inputs)
    v_points, v_table = (t if wanted else None for t, wanted in zip(gradients, wants, strict=True))
    return v_points, v_table, None, None, None


def _setup_second_context(ctx, inputs: tuple, output: tuple) -> None:
    del output
    v_features, points, table, directions, *ctx.grid, _ = inputs
    assert directions is None
    ctx.save_for_backward(v_features, points, table)
    ctx.set_materialize_grads(False)


@once_differentiable
def _differentiate_twice(ctx, u_points: Tensor | None, u_table: Tensor | None) -> tuple:
    """Back through the gradients: ``u_points`` asks for a derivative along it, ``u_table`` stands in for the table."""
    v_features, points, table = ctx.saved_tensors
    wants_features, wants_points, wants_table = ctx.needs_input_grad[:3]
    terms = []
    if u_points is not None:
        terms.append((points, table, u_points.contiguous(), *ctx.grid))
    if u_table is not None:
        terms.append((points, u_table.contiguous(), None, *ctx.grid))
    found: tuple[list[Tensor], ...] = ([], [], [])
    for term in terms:
        if wants_features:
            found[0].append(torch.ops.avatar.hash_encode(*term))
        wants = [wants_points, wants_table and term[2] is not None]
        gradients = torch.ops.avatar.hash_encode_backward(v_features, *term, wants)
        for parts, gradient, wanted in zip(found[1:], gradients, wants, strict=True):
            if wanted:
                parts.append(gradient)
    return *(sum(parts[1:], parts[0]) if parts else None for parts in found), None, None, None, None


torch.library.register_autograd("avatar::hash_encode", _differentiate, setup_context=_setup_context)
torch.library.register_autograd(
    "avatar::hash_encode_backward", _differentiate_twice, setup_context=_setup_second_context
)
