"""The closest point of the body at rest to 100k points, near its surface and all around it, beside other libraries."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.engine import MeshTree, closest_points, closest_points_reference
from avatar.geometry import interpolate, sample_surface

from .case import Case, Curve

COUNT, BAND_M, AROUND_M = 100_000, 0.02, 0.5
GOAL_MS, FLOOR_MS = 50, 100
REFERENCE_COUNT, TRIMESH_COUNT, SLOW_ROUNDS = 100, 5_000, 3


def cases() -> list[Case]:
    """Queries by the engine and its peers, with gradients, and what keeps a moving mesh's tree up to date."""
    vertices, faces = surface()
    tree = MeshTree(faces, vertices)
    size = f"{len(faces) // 1000}k faces"
    found = [
        Case(scene=size, passes="new tree", run=lambda: tree.rebuild(vertices)),
        Case(scene=size, passes="refit", run=lambda: tree.refit(vertices), goal_ms=2, floor_ms=4),
        _both(vertices, faces),
    ]
    for where in ("band", "around"):
        found += [_engine_case(where, COUNT, tree), *_peer_cases(where)]
    return found


def curves() -> list[Curve]:
    """Over points."""
    tree = MeshTree(*reversed(surface()))
    counts = (1_000, 10_000, 100_000, 1_000_000)
    return [
        Curve(name=f"closest point, {w}", along="points", points=[(n, _engine_case(w, n, tree)) for n in counts])
        for w in ("band", "around")
    ]


@cache
def surface() -> tuple[Tensor, Tensor]:
    """Vertices, metres, and triangles of the body at rest."""
    body = load_body()
    return body(body.default_shape(), body.rest_pose()).vertices_world.contiguous(), body.rig.faces


@cache
def queries(where: str, count: int) -> Tensor:
    """Points normally distributed about the surface (``band``), or even in a box half a metre wider (``around``)."""
    vertices, faces = surface()
    generator = torch.Generator().manual_seed(0)
    if where == "around":
        low, high = vertices.aminmax(dim=0)
        return low - AROUND_M + (high - low + 2 * AROUND_M) * torch.rand(count, 3, generator=generator)
    triangles, barycentrics = sample_surface(vertices, faces, count, generator=generator)
    points = interpolate(vertices, faces[triangles], barycentrics) + BAND_M * torch.randn(count, 3, generator=generator)
    return points[torch.randperm(count, generator=generator)]


def _engine_case(where: str, count: int, tree: MeshTree) -> Case:
    points = queries(where, count)
    goal, floor = (GOAL_MS, FLOOR_MS) if count == COUNT else (None, None)
    scene = f"{count // 1000}k points, {where}"
    return Case(scene=scene, passes="forward", run=lambda: closest_points(points, tree), goal_ms=goal, floor_ms=floor)


def _both(vertices: Tensor, faces: Tensor) -> Case:
    leaves = (queries("band", COUNT).clone().requires_grad_(), vertices.clone().requires_grad_())
    tree = MeshTree(faces, leaves[1])

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(closest_points(leaves[0], tree).distances.sum(), leaves)

    return Case(scene=f"{COUNT // 1000}k points, band", passes="both", run=both)


def _peer_cases(where: str) -> list[Case]:
    """Other libraries that are there, each from its own tree; signed where they can."""
    makers: dict[str, tuple[Callable[[str], Callable[[], object]], int]] = {
        "open3d": (_open3d, COUNT),
        "igl": (_igl, COUNT),
        "trimesh": (_trimesh, TRIMESH_COUNT),
        "torch": (_torch, REFERENCE_COUNT),
    }
    needs = {"trimesh": "rtree"}  # its trees
    return [
        Case(scene=f"{count / 1000:g}k points, {where}", passes="forward", run=make(where), by=name, rounds=SLOW_ROUNDS)
        for name, (make, count) in makers.items()
        if find_spec(needs.get(name, name))
    ]


def _arrays(where: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vertices, faces = surface()
    return vertices.numpy(), faces.numpy(), queries(where, count).numpy()


def _open3d(where: str) -> Callable[[], object]:
    core, geometry = (import_module(f"open3d.{name}") for name in ("core", "t.geometry"))
    vertices, faces, points = _arrays(where, COUNT)
    scene = geometry.RaycastingScene()
    scene.add_triangles(core.Tensor(vertices), core.Tensor(faces.astype(np.uint32)))
    return lambda: scene.compute_closest_points(core.Tensor(points))


def _igl(where: str) -> Callable[[], object]:
    igl = import_module("igl")
    vertices, faces, points = _arrays(where, COUNT)
    vertices, points = vertices.astype(np.float64), points.astype(np.float64)
    tree = igl.AABB()
    tree.init(vertices, faces)
    return lambda: tree.squared_distance(vertices, faces, points)


def _trimesh(where: str) -> Callable[[], object]:
    trimesh = import_module("trimesh")
    vertices, faces, points = _arrays(where, TRIMESH_COUNT)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return lambda: trimesh.proximity.closest_point(mesh, points)


def _torch(where: str) -> Callable[[], object]:
    vertices, faces = surface()
    tree, points = MeshTree(faces, vertices), queries(where, REFERENCE_COUNT)
    return lambda: closest_points_reference(points, tree)
