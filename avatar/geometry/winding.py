"""How often a mesh goes around points: what is inside a surface that need not be closed."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from .barycentric import interpolate, sample_surface, triangle_normals

AT_CHARGE = 0.42
"""Distance, in cells, at which a charge has the potential that it has on average over its own cell."""
POINTS_PER_CELL = 8
"""Samples of the surface on as much area as a face of a cell has."""


def winding_numbers(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "t 3"],
    corner: Float[Tensor, "3"],
    cell: float,
    counts: tuple[int, int, int],
) -> Float[Tensor, "x y z"]:
    """Generalized winding numbers at ``counts`` points of a grid from ``corner`` on, ``cell`` apart.

    One inside a closed mesh and zero outside, and smooth in between across the openings of one that is not closed: the
    share of the directions from a point in which its back is seen, over all layers (Jacobson et al. 2013, equation 5).
    What is above one half counts as inside. A surface is a sheet of dipoles, so all points at once are a convolution:
    samples of the surface are spread over the grid and the field of one is applied by Fourier transform. Right to a few
    percent beyond one or two cells from the surface and blurred nearer. The surface should lie within the grid: what is
    beyond counts at its border.

    Raises ValueError for a surface without area.
    """
    area_cells = float(0.5 * triangle_normals(vertices.double(), faces).norm(dim=-1).sum()) / cell**2
    num_points = max(1000, math.ceil(POINTS_PER_CELL * area_cells))
    triangles, barycentrics = sample_surface(vertices, faces, num_points, torch.Generator().manual_seed(0))
    points = (interpolate(vertices, faces[triangles], barycentrics) - corner) / cell
    dipoles = normalize(triangle_normals(vertices, faces), dim=-1)[triangles] * (area_cells / num_points)
    spread = _spread(points, dipoles, counts)
    charges = sum(torch.gradient(spread[axis], dim=axis)[0] for axis in range(3))
    sizes = [-(-count // 8) * 16 for count in counts]  # twice as many or more: what wraps around is not looked at
    offsets = [torch.fft.fftfreq(size, 1 / size, dtype=corner.dtype, device=corner.device) for size in sizes]
    x, y, z = torch.meshgrid(*offsets, indexing="ij")
    potential = 1 / (4 * math.pi * (x * x + y * y + z * z).sqrt().clamp_min(AT_CHARGE))
    product = torch.fft.rfftn(charges, sizes) * torch.fft.rfftn(potential)
    return torch.fft.irfftn(product, sizes)[: counts[0], : counts[1], : counts[2]]


def _spread(
    points: Float[Tensor, "n 3"], values: Float[Tensor, "n d"], counts: tuple[int, int, int]
) -> Float[Tensor, "d x y z"]:
    """Values at points between those of a grid, shared among the eight around each by trilinear weights."""
    most = points.new_tensor(counts) - 1
    points = points.clamp(min=0).minimum(most)
    lower = points.floor().minimum(most - 1).clamp(min=0)
    grid = values.new_zeros(math.prod(counts), values.shape[1])
    for corner in torch.cartesian_prod(*[torch.arange(2)] * 3).to(points):
        weights = (1 - (points - lower - corner).abs()).prod(1)
        i, j, k = (lower + corner).long().unbind(1)
        rows = (i * counts[1] + j) * counts[2] + k
        grid.index_add_(0, rows, weights[:, None] * values)
    return grid.T.view(-1, *counts)
