"""A distance field that begins as the naked body: what every person is nearer to than to a sphere."""

from dataclasses import dataclass

import torch

from avatar.engine import MeshTree, closest_points
from avatar.geometry import interpolate, sample_surface
from avatar.model import FieldAvatar
from avatar.structs import RaySamples

from .optimizer import Optimizer, Rates


@dataclass(frozen=True, kw_only=True)
class TemplateStartConfig:
    """How the canonical body's signed distance is learnt before the first picture.

    Attributes:
        steps: of so many ``points`` each.
        spread_m: how far from the body most points are, metres; a quarter of them is anywhere in the band.
    """

    steps: int = 150
    points: int = 8192
    spread_m: float = 0.03

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"TemplateStartConfig.{name}: expected a positive number, got {value}")


def start_at_template(avatar: FieldAvatar, config: TemplateStartConfig, rates: Rates, seed: int) -> None:
    """Fit distances and their gradients to those of the canonical body."""
    body, optimizer = avatar.deform.canonical_body, Optimizer(avatar, rates)
    tree = MeshTree(body.rest.faces, body.vertices_world)
    low, high = avatar.canonical.box
    generator = torch.Generator().manual_seed(seed)
    for step in range(config.steps):
        near = config.points - config.points // 4
        triangles, barycentrics = sample_surface(tree.vertices, tree.faces, near, generator)
        surface = interpolate(tree.vertices, tree.faces[triangles], barycentrics)
        around = surface + config.spread_m * torch.randn(near, 3, generator=generator).to(surface)
        anywhere = low + (high - low) * torch.rand(config.points - near, 3, generator=generator).to(low)
        points = torch.cat([around, anywhere])
        found = closest_points(points, tree)
        feet = interpolate(tree.vertices, tree.faces[found.face_ids], found.barycentrics)
        nowhere = torch.zeros_like(points)
        shape = avatar.canonical().shape(RaySamples(points=points, directions=nowhere, lengths=nowhere[:, 0]))
        outwards = torch.nn.functional.normalize((points - feet) * found.distances.sign()[:, None], dim=-1)
        errors = (shape.distances + avatar.canonical.surface_level - found.distances).abs().mean()
        turns = (shape.gradients - outwards).square().sum(-1).mean()
        (errors + 0.01 * turns).backward()
        optimizer.step(1 - step / config.steps)
