"""How far a predicted surface is from the true one.

What is compared is what can be seen from outside: of both meshes only the triangles that one of ``num_views`` cameras
sees, all around, from above down to 30 degrees below the horizon, for nobody films from beneath. True surfaces are
layered (skin goes on under clothes, cloth lies over cloth, eyes in their sockets), and predicted ones may hide a mouth;
what nobody sees is neither right nor wrong.

Distances are between points and the triangles of the other surface, from ``num_points`` points spread evenly over each
by area, with a fixed seed:

``chamfer_mm``        mean of the two below: half the sum of both one-sided means
``accuracy_mm``       mean distance of predicted points to the true surface (point-to-surface, P2S)
``completeness_mm``   mean distance of true points to the predicted surface
``f_5mm``, ``f_10mm`` harmonic mean of the shares of predicted and of true points within 5 and 10 mm of the other
``normal_deg``        mean angle between the normal at a point and that at the closest place of the other surface, over
                      the points of both; normals are those of vertices, weighted by area, between them interpolated
``normal_cosine``     mean cosine of that angle; -1 for a surface inside out
``iou``               volume inside both over volume inside either, at the points of a grid, ``cell_m`` apart, over the
                      box of both bodies. Inside is where the winding number of all layers is above one half (see
                      ``avatar.geometry.winding_numbers``): sheets of cloth with skin or shoes at their ends are solids
                      by that, and a skirt is one down to about its hem
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import MeshTree, closest_points
from avatar.geometry import interpolate, look_at, sample_surface, vertex_normals, winding_numbers
from avatar.render import view_mesh
from avatar.structs import Camera, Mesh

SURFACE_METRICS = (
    *("chamfer_mm", "accuracy_mm", "completeness_mm", "f_5mm", "f_10mm"),
    *("normal_deg", "normal_cosine", "iou"),
)
MARGIN_CELLS = 3
VIEW_DISTANCE = 3.0  # of the cameras from the middle, in radii of the mesh
LOWEST_VIEW = -0.5  # sine of the elevation of the lowest camera


@dataclass(frozen=True, kw_only=True)
class SurfaceConfig:
    """How to compare surfaces.

    Attributes:
        num_points: on each surface.
        cell_m: of the grid for the volumes.
        num_views: cameras all around that decide what can be seen.
        view_px: side of their pictures.
    """

    num_points: int = 100_000
    cell_m: float = 0.01
    num_views: int = 48
    view_px: int = 768

    def __post_init__(self) -> None:
        for name in ("num_points", "cell_m", "num_views", "view_px"):
            if not getattr(self, name) > 0:
                raise ValueError(f"SurfaceConfig.{name}: expected a positive number, got {getattr(self, name)}")


@torch.no_grad()
def compare_surfaces(predicted: Mesh, truth: Mesh, config: SurfaceConfig | None = None) -> dict[str, float | None]:
    """All of ``SURFACE_METRICS``; both meshes in the same frame, metres.

    Of a predicted mesh without triangles ``f_5mm``, ``f_10mm`` and ``iou`` are zero and the others None. Raises
    ValueError for a true one without, and for vertices that are no numbers.
    """
    config = config or SurfaceConfig()
    if not len(predicted.faces):
        return {name: 0.0 if name[0] in "fi" else None for name in SURFACE_METRICS}
    seen = [seen_from_outside(mesh, config) for mesh in (predicted, truth)]
    to_truth, cosines = _distances(seen[0], seen[1], config.num_points)
    to_prediction, other_cosines = _distances(seen[1], seen[0], config.num_points)
    cosines = torch.cat([cosines, other_cosines]).clamp(-1, 1)
    accuracy, completeness = 1000 * float(to_truth.mean()), 1000 * float(to_prediction.mean())
    return {
        "chamfer_mm": (accuracy + completeness) / 2,
        "accuracy_mm": accuracy,
        "completeness_mm": completeness,
        "f_5mm": _f_score(to_truth <= 0.005, to_prediction <= 0.005),
        "f_10mm": _f_score(to_truth <= 0.01, to_prediction <= 0.01),
        "normal_deg": math.degrees(float(cosines.acos().mean())),
        "normal_cosine": float(cosines.mean()),
        "iou": _overlap(predicted, truth, config.cell_m),
    }


def seen_from_outside(mesh: Mesh, config: SurfaceConfig | None = None) -> Mesh:
    """The triangles that any camera on a dome around the mesh sees, with all vertices."""
    config = config or SurfaceConfig()
    if not len(mesh.faces) or not bool(mesh.vertices.isfinite().all()):
        raise ValueError(f"mesh: expected triangles with finite vertices, got {len(mesh.faces)} triangles or others")
    is_seen = torch.zeros(len(mesh.faces) + 1, dtype=torch.bool)  # the last entry is for pixels that see nothing
    for camera in _all_around(mesh.vertices[mesh.faces.unique()], config):
        is_seen[view_mesh(mesh.vertices, mesh.faces, camera).raster.triangles.flatten()] = True
    return Mesh(vertices=mesh.vertices, faces=mesh.faces[is_seen[:-1]])


def _all_around(vertices: Float[Tensor, "v 3"], config: SurfaceConfig) -> list[Camera]:
    """Cameras evenly spread over a dome (Fibonacci's lattice), with all vertices in their pictures."""
    low, high = vertices.aminmax(dim=0)
    centre = (low + high) / 2
    radius = float((vertices - centre).norm(dim=1).max())
    index = torch.arange(config.num_views).to(vertices)
    heights = 1 - (1 - LOWEST_VIEW) * (index + 0.5) / config.num_views
    angles = math.pi * (3 - 5**0.5) * index
    across = (1 - heights.square()).sqrt()
    directions = torch.stack([across * angles.cos(), across * angles.sin(), heights], 1)
    matrices = look_at(centre + VIEW_DISTANCE * radius * directions, centre, vertices.new_tensor([0.0, 0.0, 1.0]))
    half, focal_px = config.view_px / 2, config.view_px / 2 * (VIEW_DISTANCE**2 - 1) ** 0.5
    intrinsics_px = vertices.new_tensor([[focal_px, 0, half], [0, focal_px, half], [0, 0, 1]])
    size = {"height": config.view_px, "width": config.view_px}
    return [Camera(name="", camera_from_world=matrix, intrinsics_px=intrinsics_px, **size) for matrix in matrices]


def _distances(start: Mesh, end: Mesh, num_points: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Of points on one mesh to the other, metres, and the cosine between the normals at both ends."""
    triangles, weights = sample_surface(start.vertices, start.faces, num_points, torch.Generator().manual_seed(0))
    points = interpolate(start.vertices, start.faces[triangles], weights)
    closest = closest_points(points, MeshTree(end.faces, end.vertices))
    normals = _normals(start, triangles, weights), _normals(end, closest.face_ids, closest.barycentrics)
    return closest.distances.abs(), (normals[0] * normals[1]).sum(-1)


def _normals(mesh: Mesh, triangles: Int[Tensor, " n"], weights: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    of_vertices = vertex_normals(mesh.vertices, mesh.faces)
    return normalize(interpolate(of_vertices, mesh.faces[triangles], weights), dim=-1)


def _f_score(is_precise: Bool[Tensor, " n"], is_recalled: Bool[Tensor, " n"]) -> float:
    precision, recall = float(is_precise.float().mean()), float(is_recalled.float().mean())
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _overlap(predicted: Mesh, truth: Mesh, cell_m: float) -> float:
    """Intersection over union of the volumes."""
    meshes = predicted, truth
    low, high = torch.cat([mesh.vertices[mesh.faces.unique()] for mesh in meshes]).aminmax(dim=0)
    corner = low - MARGIN_CELLS * cell_m
    x, y, z = (((high - corner) / cell_m).ceil().long() + 1 + MARGIN_CELLS).tolist()
    inside = [winding_numbers(mesh.vertices, mesh.faces, corner, cell_m, (x, y, z)) > 0.5 for mesh in meshes]
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum().clamp_min(1))
