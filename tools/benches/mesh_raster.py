"""The body at rest, drawn: which triangle each pixel sees, and its outline."""

import torch
from torch import Tensor

from avatar.body import load_body
from avatar.engine import antialias, rasterize_mesh, rasterize_mesh_reference
from avatar.geometry import face_neighbours, project, transform_points
from avatar.render import framing_distance, orbit

from .case import Case, Curve

LIMITS_MS = {512: (2, 3)}
"""Goal and floor."""


def cases() -> list[Case]:
    """The engine at three sizes and its specification in torch; antialiasing with gradients of image and vertices."""
    found = [_case(size_px) for size_px in (256, 512, 1024)]
    return [*found, _case(512, by="torch"), _antialias_case(512)]


def curves() -> list[Curve]:
    """Over pixels."""
    sizes = (128, 256, 512, 1024)
    return [Curve(name="mesh raster", along="pixels", points=[(px * px, _case(px)) for px in sizes])]


def view(size_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """The body from the front, filling a square picture: pixels, depths, triangles."""
    body = load_body()
    points = body(body.default_shape(), body.rest_pose()).vertices_world
    target = points.mean(0)[None]
    (nearby,) = orbit(target, 1.0, height=size_px, width=size_px)
    distance_m = framing_distance(points[None], target, [nearby])
    camera = orbit(target, distance_m, height=size_px, width=size_px)[0]
    pixels, depths = project(transform_points(camera.camera_from_world, points), camera.intrinsics_px)
    return pixels, depths, body.rig.faces


def _case(size_px: int, by: str = "engine") -> Case:
    pixels, depths, faces = view(size_px)
    rasterize, rounds = (rasterize_mesh, None) if by == "engine" else (rasterize_mesh_reference, 3)
    goal, floor = LIMITS_MS.get(size_px, (None, None)) if by == "engine" else (None, None)
    return Case(
        scene=f"{len(faces) // 1000}k faces {size_px}²",
        passes="forward",
        run=lambda: rasterize(pixels, depths, faces, size_px, size_px),
        by=by,
        rounds=rounds,
        goal_ms=goal,
        floor_ms=floor,
    )


def _antialias_case(size_px: int) -> Case:
    pixels, depths, faces = view(size_px)
    raster, neighbours = rasterize_mesh(pixels, depths, faces, size_px, size_px), face_neighbours(faces)
    leaves = (raster.barycentrics.clone().requires_grad_(), pixels.clone().requires_grad_())
    weights = torch.ones_like(raster.barycentrics)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(antialias(leaves[0], raster, leaves[1], faces, neighbours), leaves, weights)

    return Case(scene=f"outline {size_px}²", passes="both", run=both)
