"""Samples along rays through an occupancy grid, compiled and in plain torch."""

import ctypes
import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from .library import call, integers, is_compiled, numbers, pointers
from .packed import Packed

MAX_STEPS = 2**22
"""Steps from the near plane to where a ray leaves the box, at most: float32 counts them and their halves exactly."""
TOO_MANY_STEPS = f"march: step: expected at most {MAX_STEPS} steps from near to the end of the box, got more with {{}}"


class _Arguments(ctypes.Structure):
    _fields_ = [
        *pointers("origins directions near far jitter box occupied"),
        *integers("num_rays size_x size_y size_z max_samples"),
        *numbers("step"),
        *pointers("starts t_starts t_ends ray_ids"),
    ]


class Rays(NamedTuple):
    """Rays in the world; points are ``origins + t * directions``, with t in metres where directions are unit.

    ``near`` and ``far`` bound t, for all rays alike or for each.
    """

    origins: Float[Tensor, "r 3"]
    directions: Float[Tensor, "r 3"]
    near: Float[Tensor, " r"] | float = 0.0
    far: Float[Tensor, " r"] | float = math.inf


class OccupancyGrid(NamedTuple):
    """Which cells of a box hold something: ``box`` is its lowest and its highest corner, world metres."""

    occupied: Bool[Tensor, "x y z"] | UInt8[Tensor, "x y z"]
    box: Float[Tensor, "2 3"]


def occupied_cells(densities: Float[Tensor, "x y z"], threshold: float) -> Bool[Tensor, "x y z"]:
    """Cells denser than ``threshold``, or than the mean where that is less (Instant-NGP's and nerfacc's rule)."""
    return densities > densities.mean().clamp(max=threshold)


def march(
    rays: Rays,
    grid: OccupancyGrid,
    step: float,
    jitter: Float[Tensor, " r"] | None = None,
    max_samples: int | None = None,
) -> Packed:
    """Cut every ray into steps and keep those whose middle lies in an occupied cell.

    Steps of length ``step`` follow each other from the near plane on, ``jitter`` steps behind it; the steps kept are
    those whose middle is inside the box, at ``near`` or behind it, before ``far``, and in an occupied cell. This is
    what nerfacc 0.5.3 does with one level and no cone angle, but for rounding: steps there are added up one by one.

    Args:
        rays: those with a zero direction, or with a number that is not finite (``far`` may be), get no samples.
        grid: cells of value zero or False are skipped, empty blocks of 8 x 8 x 8 at once.
        step: in lengths of the direction: metres where that is unit.
        jitter: in [0, 1), of every ray, for stratified sampling.
        max_samples: of every ray, the nearest ones.

    Not differentiable. Compiled on the CPU, the same for any number of threads, and equal to the reference to the last
    bit; elsewhere the reference.

    Raises:
        ValueError: shapes, dtypes, the box or the step do not fit, or a ray takes more than ``MAX_STEPS`` steps.
    """
    check_march(rays, grid, step, jitter, max_samples)
    if not is_compiled() or rays.origins.device.type != "cpu":
        return march_reference(rays, grid, step, jitter, max_samples)
    near, far = planes_of(rays)
    tensors = [rays.origins, rays.directions, near, far, jitter, grid.box, grid.occupied.view(torch.uint8)]
    tensors = [None if t is None else t.detach().contiguous() for t in tensors]
    count, dtype = len(rays.origins), rays.origins.dtype
    starts = torch.empty(count + 1, dtype=torch.int64)
    arguments = _Arguments(
        *(None if t is None else t.data_ptr() for t in tensors),
        *(count, *grid.occupied.shape, MAX_STEPS if max_samples is None else max_samples, step, starts.data_ptr()),
    )
    if call("march", dtype, arguments) != 0:
        raise ValueError(TOO_MANY_STEPS.format(step))
    total = int(starts[-1])
    samples = (torch.empty(total, dtype=dtype), torch.empty(total, dtype=dtype), torch.empty(total, dtype=torch.int64))
    arguments.t_starts, arguments.t_ends, arguments.ray_ids = (t.data_ptr() for t in samples)
    call("march_samples", dtype, arguments)
    return Packed(*samples, starts=starts)


@torch.no_grad()
def march_reference(
    rays: Rays,
    grid: OccupancyGrid,
    step: float,
    jitter: Float[Tensor, " r"] | None = None,
    max_samples: int | None = None,
) -> Packed:
    """The same in plain torch, for any device: every step of every ray is tested."""
    check_march(rays, grid, step, jitter, max_samples)
    (near, _), length = planes_of(rays), rays.origins.new_tensor(step)
    begins, ends = spans_in(rays, grid.box)
    origins = near if jitter is None else near + jitter * length
    is_hit = (begins < ends) & ~origins.isnan()
    first = ((begins - origins) / length).where(is_hit, 0)
    last = ((ends - origins) / length).where(is_hit, 0)
    if not bool((last < MAX_STEPS).all()):
        raise ValueError(TOO_MANY_STEPS.format(step))
    # One step more on both sides than rounding could need; which of them count is tested below.
    first, last = (first - 2).clamp(min=0).long(), (last + 2).clamp(min=0).long()
    counts = torch.where(is_hit, last - first + 1, 0)
    ids = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    steps = first[ids] + torch.arange(len(ids), device=ids.device) - (counts.cumsum(0) - counts)[ids]

    t_starts, t_ends = (origins[ids] + (steps + i).to(length.dtype) * length for i in (0, 1))
    middles = (t_starts + t_ends) * 0.5
    places = rays.origins[ids] + middles[:, None] * rays.directions[ids]
    is_kept = (middles >= begins[ids]) & (middles < ends[ids]) & _is_occupied(grid, places)
    packed = Packed(t_starts, t_ends, ids, starts=torch.cat([counts.new_zeros(1), counts.cumsum(0)])).keep(is_kept)
    if max_samples is None:
        return packed
    ranks = torch.arange(len(packed.ray_ids), device=ids.device) - packed.starts[packed.ray_ids]
    return packed.keep(ranks < max_samples)


def planes_of(rays: Rays) -> tuple[Tensor, Tensor]:
    """Near and far of every ray, as tensors."""
    near, far = (torch.as_tensor(t, dtype=rays.origins.dtype, device=rays.origins.device) for t in rays[2:])
    return near.expand(len(rays.origins)), far.expand(len(rays.origins))


def spans_in(rays: Rays, box: Tensor) -> tuple[Tensor, Tensor]:
    """Where every ray enters and leaves what of the box lies between its planes.

    Rays that miss it, and those that are no rays, do not end after they begin.
    """
    near, far = planes_of(rays)
    is_still = rays.directions == 0
    to_low, to_high = ((corner - rays.origins) / rays.directions for corner in box)
    enters = torch.minimum(to_low, to_high).where(~is_still, -math.inf).amax(1)
    leaves = torch.maximum(to_low, to_high).where(~is_still, math.inf).amin(1)
    is_beside = is_still & ((rays.origins < box[0]) | (rays.origins > box[1]))
    is_fine = rays.origins.isfinite().all(1) & rays.directions.isfinite().all(1) & ~is_beside.any(1) & ~is_still.all(1)
    return torch.maximum(near, enters), torch.minimum(far, leaves).where(is_fine, -math.inf)


def _is_occupied(grid: OccupancyGrid, places: Tensor) -> Tensor:
    """Whether the cell of each place is; places outside count for the nearest cell."""
    sizes = grid.box.new_tensor(grid.occupied.shape)
    cells = ((places - grid.box[0]) * (sizes / (grid.box[1] - grid.box[0]))).clamp(min=0).minimum(sizes - 1).long()
    return grid.occupied[tuple(cells.unbind(1))] != 0


def check_march(rays: Rays, grid: OccupancyGrid, step: float, jitter: Tensor | None, max_samples: int | None) -> None:
    """ValueError where shapes, dtypes, the box or the step do not fit."""
    r, dtype = len(rays.origins), rays.origins.dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"march: origins: expected float32 or float64, got {dtype}")
    named = {"origins": rays.origins, "directions": rays.directions, "near": rays.near, "far": rays.far}
    for name, tensor in {**named, "jitter": jitter, "box": grid.box}.items():
        if not isinstance(tensor, Tensor):
            continue
        shape = {"origins": (r, 3), "directions": (r, 3), "box": (2, 3)}.get(name, (r,))
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            raise ValueError(f"march: {name}: expected {dtype} {shape}, got {tensor.dtype} {tuple(tensor.shape)}")
    if grid.occupied.ndim != 3 or grid.occupied.dtype not in (torch.bool, torch.uint8) or not grid.occupied.numel():
        found = f"{grid.occupied.dtype} {tuple(grid.occupied.shape)}"
        raise ValueError(f"march: occupied: expected cells along x, y and z, bool or uint8, got {found}")
    if not bool((grid.box[1] > grid.box[0]).all() & grid.box.isfinite().all()):
        raise ValueError(f"march: box: expected its lowest, then its highest corner, got {grid.box.tolist()}")
    if not (0 < step < math.inf) or (max_samples is not None and max_samples < 0):
        raise ValueError(f"march: expected a positive step and no negative max_samples, got {step} and {max_samples}")
