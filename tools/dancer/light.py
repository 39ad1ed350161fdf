"""Soft light from all around, with the shadows that a mesh throws on itself."""

from math import pi

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import rasterize_mesh

DIRECTIONS = 128
SHADOW_PX = 256
REACH_M = 1.3
"""Half the width of a shadow map."""
BIAS_M = 0.02
LAMP_M = 20.0
"""Distance of a shadow map's camera, so large that its rays are parallel."""

LAMPS = (
    ((0.5, -0.8, 0.7), (3.2, 3.0, 2.7), 12.0),
    ((-0.9, -0.2, 0.5), (0.9, 1.05, 1.3), 6.0),
    ((0.3, 0.9, 0.6), (1.1, 1.1, 1.2), 8.0),
)
"""Soft lamps: direction in world axes, linear RGB, narrowness."""
SKY, GROUND = (0.60, 0.63, 0.68), (0.28, 0.24, 0.20)


def irradiance(
    vertices: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], faces: Int[Tensor, "t 3"]
) -> Float[Tensor, "n 3"]:
    """Light that falls on every vertex, linear RGB: white paint under a plain sky of radiance one shows one."""
    directions = _sphere(DIRECTIONS)
    total = torch.zeros_like(vertices)
    for direction, radiance in zip(directions, _radiance(directions), strict=True):
        cosine = (normals @ direction).clamp(min=0)
        total += (cosine * _visible(vertices, faces, direction))[:, None] * radiance
    return total * (4 / DIRECTIONS)


def _sphere(count: int) -> Float[Tensor, "n 3"]:
    """Evenly spread directions: a Fibonacci spiral."""
    index = torch.arange(count) + 0.5
    z, angle = 1 - 2 * index / count, index * (pi * (1 + 5**0.5))
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], 1)


def _radiance(directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    height = (0.5 + 0.5 * directions[:, 2:]).clamp(0, 1)
    total = torch.lerp(torch.tensor(GROUND), torch.tensor(SKY), height)
    for towards, color, narrowness in LAMPS:
        cosine = directions @ normalize(torch.tensor(towards), dim=0)
        total = total + torch.exp(narrowness * (cosine - 1))[:, None] * torch.tensor(color)
    return total


def _visible(vertices: Tensor, faces: Tensor, direction: Tensor) -> Float[Tensor, " n"]:
    """Whether each vertex sees the light from ``direction``: 0 to 1 over a centimetre of depth in a shadow map."""
    least = torch.eye(3)[direction.abs().argmin()]
    aside = normalize(torch.linalg.cross(direction, least), dim=0)
    axes = torch.stack([aside, torch.linalg.cross(direction, aside), -direction])
    local = (vertices - vertices.mean(0)) @ axes.T
    pixels, depths = (local[:, :2] / REACH_M + 1) * (0.5 * SHADOW_PX), local[:, 2] + LAMP_M
    shadow = rasterize_mesh(pixels, depths, faces, SHADOW_PX, SHADOW_PX).depths
    columns, rows = pixels.long().clamp(0, SHADOW_PX - 1).unbind(1)
    first = shadow[rows, columns]
    return torch.where(first > 0, ((first + BIAS_M - depths) / 0.01).clamp(0, 1), 1.0)
