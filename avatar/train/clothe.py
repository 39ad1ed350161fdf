"""The clothed surface from masks alone: the naked template grows, or shrinks, until its outlines meet theirs.

Every outline pixel of the posed template says how far, along its outward direction in the picture, the mask's outline
lies; a few rounds of linear least squares move the template along its normals by what all of them say together, as a
membrane would: shape from silhouettes with a body inside (compare Alldieck et al. 2018, section 3.2). Where another
part of the body comes before the mask ends, as between the legs in a skirt, both sides meet in the middle.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_array, csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from avatar.canonical import membrane
from avatar.geometry import project, transform_points, triangle_areas, vertex_normals
from avatar.model import HybridAvatar
from avatar.render import view_mesh
from avatar.structs import Body, Capture, Frame, Mesh, Split

_STEP_PX = 0.5
_BLUR_PX = 2.0
_SKIN_PX = 2.0  # so far from an outline the template's own pixels do not stop a walk
_FACING = 0.3  # outlines that move by less of what their vertices move say nothing
_ANCHOR_M2 = 1e-8


@dataclass(frozen=True, kw_only=True)
class ClotheConfig:
    """How the clothed surface is found.

    Attributes:
        pictures: about how many are looked at, evenly spread over the frames of the split, all its cameras.
        rounds: of outlines and least squares.
        reach_m: outlines farther from the mask's are left to later rounds, metres.
        smooth_m: over about this length what outlines say is averaged, metres.
    """

    pictures: int = 40
    rounds: int = 3
    reach_m: float = 0.15
    smooth_m: float = 0.02

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"ClotheConfig.{name}: expected a positive number, got {value}")


class _Outline(NamedTuple):
    """What the outline of a posed mesh in a picture says; one row a pixel.

    Attributes:
        corners: the vertices that move it.
        rates: how far each of them moves it for a metre along its normal.
        distances: how far it is from the mask's, metres, outwards positive.
    """

    corners: np.ndarray
    rates: np.ndarray
    distances: np.ndarray


@torch.no_grad()
def clothe(avatar: HybridAvatar, capture: Capture, split: Split, config: ClotheConfig) -> Float[Tensor, "v 3"]:
    """The displacement of an avatar's template, metres, with which its silhouettes are those of a split's masks.

    The avatar must be on the CPU.
    """
    template = avatar.template
    vertices, tension = template.vertices, membrane(template)
    area = float(triangle_areas(vertices, template.faces).sum())
    frame_ids = _spread(split.frame_ids, max(1, round(config.pictures / len(split.camera_ids))))
    frames = [capture.load_frame(frame, camera, True) for frame in frame_ids for camera in split.camera_ids]
    displacement = torch.zeros_like(vertices)
    for _ in range(config.rounds):
        normals = vertex_normals(vertices + displacement, template.faces)
        outlines = [_outline(avatar, frame, displacement, normals, config) for frame in frames]
        steps = _least_squares(outlines, displacement, normals, config.smooth_m**2 / area * tension)
        displacement = displacement + steps[:, None] * normals
    return displacement


def _spread(ids: tuple[int, ...], count: int) -> list[int]:
    """At most ``count`` of them, evenly."""
    places = np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)
    return [ids[place] for place in places]


def _outline(
    avatar: HybridAvatar, frame: Frame, displacement: Tensor, normals: Tensor, config: ClotheConfig
) -> _Outline:
    faces, camera = avatar.template.faces, frame.camera
    body = avatar.body(avatar.shape, frame.pose)
    clothed = avatar.template.vertices + displacement
    points, moved = (_posed(avatar, vertices, body) for vertices in (clothed, clothed + 1e-3 * normals))
    pixels, _, raster = view_mesh(points, faces, camera)
    moved_pixels, _ = project(transform_points(camera.camera_from_world, moved), camera.intrinsics_px)
    is_covered = (raster.triangles >= 0).numpy()
    rows, columns, outwards = _outline_pixels(is_covered)
    metres_per_px = (raster.depths.numpy() / float(camera.intrinsics_px[0, 0]))[rows, columns]
    steps = _walk(is_covered, frame.is_foreground.numpy(), (rows, columns), outwards, config.reach_m / metres_per_px)
    corners = faces[raster.triangles[rows, columns]].numpy()
    speeds = ((moved_pixels - pixels) / 1e-3).numpy()[corners]
    along = (speeds * outwards[:, None]).sum(-1) * metres_per_px[:, None]
    rates = along * raster.barycentrics.numpy()[rows, columns]
    is_told = np.isfinite(steps) & (rates.sum(1) > _FACING)
    return _Outline(corners[is_told], rates[is_told], (steps * metres_per_px)[is_told])


def _posed(avatar: HybridAvatar, vertices: Float[Tensor, "v 3"], body: Body) -> Float[Tensor, "v 3"]:
    scene = avatar.deform(Mesh(vertices=vertices, faces=avatar.template.faces), body)
    assert isinstance(scene, Mesh)
    return scene.vertices


def _outline_pixels(is_covered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covered pixels beside uncovered ones: rows, columns, and unit outward directions (x, y)."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(is_covered.astype(np.uint8), cross)
    rows, columns = np.nonzero(is_covered & (inner == 0))
    soft = cv2.GaussianBlur(is_covered.astype(np.float32), (0, 0), _BLUR_PX)
    slopes = np.stack([cv2.Sobel(soft, -1, *axis) for axis in ((1, 0), (0, 1))], -1)[rows, columns]
    return rows, columns, -slopes / np.linalg.norm(slopes, axis=1, keepdims=True).clip(min=1e-6)


def _walk(
    is_covered: np.ndarray,
    is_foreground: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
    outwards: np.ndarray,
    reach_px: np.ndarray,
) -> np.ndarray:
    """How many pixels outwards the outline should go: negative where it is outside the mask, NaN where none is told."""
    distances = np.arange(_STEP_PX, float(reach_px.max(initial=1.0)) + _STEP_PX, _STEP_PX)
    starts_in = is_foreground[start]
    directions = np.where(starts_in[:, None], outwards, -outwards)
    x, y = (
        np.floor(places[:, None] + 0.5 + directions[:, axis, None] * distances).astype(int)
        for axis, places in enumerate((start[1], start[0]))
    )
    is_inside = (x >= 0) & (x < is_covered.shape[1]) & (y >= 0) & (y < is_covered.shape[0])
    x, y = x.clip(0, is_covered.shape[1] - 1), y.clip(0, is_covered.shape[0] - 1)
    leaves = is_foreground[y, x] != starts_in[:, None]
    meets = np.where(starts_in[:, None], is_covered[y, x] & (distances > _SKIN_PX), ~is_covered[y, x])
    ends = leaves | meets | ~is_inside | (distances > reach_px[:, None])
    first = ends.argmax(1)
    every = np.arange(len(first))
    length = distances[first] - _STEP_PX / 2
    half_way = np.where(starts_in & meets[every, first], length / 2, np.nan)
    return np.where(leaves[every, first], np.where(starts_in, length, -length), half_way)


def _least_squares(
    outlines: list[_Outline], displacement: Tensor, normals: Tensor, tension: csr_array
) -> Float[Tensor, " v"]:
    """How far each vertex goes along its normal, metres."""
    corners, rates, distances = (np.concatenate(parts) for parts in zip(*outlines, strict=True))
    rows = np.repeat(np.arange(len(corners)), 3)
    says = coo_array((rates.ravel(), (rows, corners.ravel())), (len(corners), len(normals))).tocsr()
    axes = normals.double().numpy()
    stiffness = sum((diags_array(axis) @ tension @ diags_array(axis) for axis in axes.T), csr_array(tension.shape))
    pulled_back = (axes * (tension @ displacement.double().numpy())).sum(1)
    share = 1 / max(1, len(corners))
    system = share * (says.T @ says) + stiffness + diags_array(np.full(len(axes), _ANCHOR_M2))
    target = share * (says.T @ distances) - pulled_back
    return normals.new_tensor(splu(csc_array(system)).solve(target))
