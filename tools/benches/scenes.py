"""A person-like shell of Gaussians, so that the rasterizer can be measured without a capture."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from avatar.engine import Splats, Views
from avatar.geometry import look_at, multiply_quats

HEAD, NECK, CHEST = (0.0, 0.0, 1.66), (0.0, 0.0, 1.48), (0.0, 0.0, 1.38)
SHOULDER, ELBOW, WRIST, FINGERS = (0.17, 0.0, 1.42), (0.42, 0.0, 1.2), (0.58, -0.05, 0.98), (0.64, -0.07, 0.86)
PELVIS, HIP, KNEE, ANKLE = (0.0, 0.0, 0.95), (0.09, 0.0, 0.92), (0.12, 0.0, 0.5), (0.13, 0.0, 0.07)
TOES = (0.14, -0.16, 0.04)
MIDDLE = [(PELVIS, CHEST, 0.15), (CHEST, NECK, 0.07), (NECK, HEAD, 0.105)]
ARM = [(SHOULDER, ELBOW, 0.05), (ELBOW, WRIST, 0.042), (WRIST, FINGERS, 0.03)]
LEG = [(HIP, KNEE, 0.075), (KNEE, ANKLE, 0.05), (ANKLE, TOES, 0.035)]


class Capsules(NamedTuple):
    """Limbs: from, to (metres, +Z up, facing -Y), and radius."""

    starts: Tensor
    ends: Tensor
    radii: Tensor


def person() -> Capsules:
    """Torso, head, and limbs of both sides."""
    mirrored = [((-a[0], *a[1:]), (-b[0], *b[1:]), radius) for a, b, radius in ARM + LEG]
    starts, ends, radii = zip(*MIDDLE, *ARM, *LEG, *mirrored, strict=True)
    return Capsules(torch.tensor(starts), torch.tensor(ends), torch.tensor(radii))


def shell(count: int, seed: int = 0) -> Splats:
    """Thin Gaussians spread evenly over the person's skin, three colour channels; some are faint, as after a fit."""
    generator = torch.Generator().manual_seed(seed)
    limbs = person()
    points, normals = _skin(limbs, count, generator)
    spacing = math.sqrt(float(_areas(limbs).sum()) / count)
    sizes = torch.tensor([0.75, 0.75, 0.11]) * spacing
    spins = torch.rand(count, generator=generator) * math.pi
    zeros = torch.zeros(count)
    upright = torch.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], zeros], 1)  # takes +Z to the normal
    return Splats(
        means=points + 0.003 * torch.randn(count, 1, generator=generator) * normals,
        quats=multiply_quats(upright, torch.stack([spins.cos(), zeros, zeros, spins.sin()], 1)),
        scales=sizes * (0.3 * torch.randn(count, 3, generator=generator)).exp(),
        opacities=(1.5 * torch.randn(count, generator=generator) + 1.5).sigmoid(),
        colors=0.35 + 0.3 * torch.rand(count, 3, generator=generator) + 0.3 * normals,
    )


def with_harmonics(splats: Splats, degree: int = 3, seed: int = 0) -> Splats:
    """The same colours as the constant terms of spherical harmonics; small other terms."""
    generator, constant = torch.Generator().manual_seed(seed), math.sqrt(1 / (4 * math.pi))
    others = 0.1 * torch.randn(len(splats.means), (degree + 1) ** 2 - 1, 3, generator=generator)
    return splats._replace(colors=torch.cat([(splats.colors[:, None] - 0.5) / constant, others], 1), sh_degree=degree)


def front_view(size_px: int) -> Views:
    """A square picture that the person fills from top to bottom, taken a little from the side."""
    target, up = torch.tensor([0.0, 0.0, 0.88]), torch.tensor([0.0, 0.0, 1.0])
    eye = target + 2.15 * torch.tensor([math.sin(0.3), -math.cos(0.3), 0.0])
    focal, centre = 1.1 * size_px, size_px / 2
    intrinsics = torch.tensor([[[focal, 0, centre], [0, focal, centre], [0, 0, 1]]])
    return Views(look_at(eye, target, up)[None], intrinsics, height=size_px, width=size_px)


def _areas(limbs: Capsules) -> Tensor:
    lengths = (limbs.ends - limbs.starts).norm(dim=1)
    return 2 * math.pi * limbs.radii * (lengths + 2 * limbs.radii)


def _skin(limbs: Capsules, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points spread evenly over the capsules (Archimedes: a sphere's area goes with its height), and their normals."""
    chosen = torch.multinomial(_areas(limbs), count, replacement=True, generator=generator)
    starts, ends, radii = (t[chosen] for t in limbs)
    lengths = (ends - starts).norm(dim=1)
    axes = (ends - starts) / lengths[:, None]
    heights = torch.rand(count, generator=generator) * (lengths + 2 * radii) - radii
    on_axis = heights.clamp(min=0).minimum(lengths)
    beyond = (heights - on_axis) / radii
    oblique = torch.tensor([0.6, 0.64, 0.48]).expand_as(axes)
    aside = torch.nn.functional.normalize(torch.linalg.cross(axes, oblique), dim=1)
    angles = 2 * math.pi * torch.rand(count, 1, generator=generator)
    around = angles.cos() * aside + angles.sin() * torch.linalg.cross(axes, aside)
    normals = beyond[:, None] * axes + (1 - beyond**2).clamp(min=0).sqrt()[:, None] * around
    return starts + on_axis[:, None] * axes + radii[:, None] * normals, normals
