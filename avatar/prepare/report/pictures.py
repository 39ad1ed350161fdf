"""Pictures of a capture with what was found in them: the fitted body, the mask and the landmarks, drawn as vectors."""

import logging
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import project, transform_points
from avatar.render import view_mesh
from avatar.structs import Box, Camera, Capture, Frame, Mesh

from ..observations import Observations

LOG = logging.getLogger(__name__)

SIDE_PX = 560  # the longer one, at most
MARGIN = 0.06  # of the person's size
ASPECT = 0.8  # width over height that pictures have where they can
JPEG_QUALITY = 80
TOLERANCE_PX = 0.4  # of an outline that is drawn with fewer points
CONFIDENCES = (0.0, 0.5, 0.8)  # from which on a landmark is one of doubtful, unsure and sure


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """A picture cut to the person, and paths of SVG in its pixels.

    Attributes:
        frame_id, camera_id: which picture.
        jpeg: the picture's file.
        width, height: pixels.
        body: outline of the fitted body.
        mask: outline of the mask.
        landmarks: dots, as lines of no length, by ``CONFIDENCES``.
        misses: lines from landmarks to where the triangulated ones are.
    """

    frame_id: int
    camera_id: int
    jpeg: bytes
    width: int
    height: int
    body: str
    mask: str
    landmarks: tuple[str, ...]
    misses: str

    @property
    def source(self) -> str:
        """The picture as an address that needs no file."""
        return f"data:image/jpeg;base64,{b64encode(self.jpeg).decode()}"


def overlay(capture: Capture, body: Mesh, frame_id: int, camera_id: int, seen: Observations | None) -> Overlay | None:
    """One picture with the body (world) and, where they are at hand, the landmarks; None where it cannot be read."""
    try:
        frame = capture.load_frame(frame_id, camera_id, False)
    except (FileNotFoundError, ValueError) as error:
        LOG.info("%s", error)
        return None
    box = _box(view_mesh(body.vertices, body.faces, frame.camera).raster.triangles >= 0, frame)
    cut = frame.camera.crop(box).scaled(min(1.0, SIDE_PX / max(box.width, box.height)))
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    is_body = view_mesh(body.vertices, body.faces, cut).raster.triangles >= 0
    landmarks, misses = ((), "") if seen is None else _landmarks(seen, frame_id, camera_id, box, cut)
    return Overlay(
        frame_id=frame_id,
        camera_id=camera_id,
        jpeg=_jpeg(_resized(frame.image[rows, columns], cut)),
        width=cut.width,
        height=cut.height,
        body=outline(is_body),
        mask=outline(_resized(frame.is_foreground[rows, columns].float(), cut) >= 0.5),
        landmarks=landmarks,
        misses=misses,
    )


def outline(is_inside: Bool[Tensor | np.ndarray, "h w"]) -> str:
    """The rim of a region as a path of SVG, through the centres of its outermost pixels; empty where there is none."""
    pixels = np.ascontiguousarray(is_inside, dtype=np.uint8)
    found = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    return "".join(path(cv2.approxPolyDP(each, TOLERANCE_PX, True)[:, 0] + 0.5) for each in found if len(each) > 8)


def path(points: np.ndarray, end: str = "Z") -> str:
    """A polygon, or with another end a line, through ``n 2`` points."""
    return f"M{'L'.join(f'{x:.4g} {y:.4g}' for x, y in points)}{end}" if len(points) else ""


def _box(is_body: Bool[Tensor, "h w"], frame: Frame) -> Box:
    """Around mask and body; the whole picture where there is neither."""
    is_person = is_body | frame.is_foreground
    rows, columns = (torch.nonzero(is_person.any(dim=axis))[:, 0].tolist() for axis in (1, 0))
    if not rows:
        return Box(top=0, left=0, bottom=frame.camera.height, right=frame.camera.width)
    box = Box(top=rows[0], left=columns[0], bottom=rows[-1] + 1, right=columns[-1] + 1)
    box = box.padded(round(MARGIN * max(box.height, box.width)) + 1, frame.camera.height, frame.camera.width)
    wider = max(0, round(ASPECT * box.height) - box.width)
    higher = max(0, round(box.width / ASPECT) - box.height)
    return Box(
        top=max(0, box.top - higher // 2),
        left=max(0, box.left - wider // 2),
        bottom=min(frame.camera.height, box.bottom + higher // 2),
        right=min(frame.camera.width, box.right + wider // 2),
    )


def _resized(values: Float[Tensor, "h w *d"], camera: Camera) -> Float[np.ndarray, "_ _ *d"]:
    return cv2.resize(values.numpy(), (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def _jpeg(image: Float[np.ndarray, "h w 3"]) -> bytes:
    pixels = np.ascontiguousarray((255 * image.clip(0, 1)).round().astype(np.uint8)[..., ::-1])
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _landmarks(seen: Observations, frame_id: int, camera_id: int, box: Box, cut: Camera) -> tuple[tuple[str, ...], str]:
    """Those of one picture as dots, the doubtful ones first, and how far they miss the triangulated ones."""
    confidences = seen.confidences[frame_id, camera_id]
    points = seen.points_px[frame_id, camera_id] - seen.points_px.new_tensor([box.left, box.top])
    points = points * points.new_tensor([cut.width / box.width, cut.height / box.height])
    is_known = points.isfinite().all(dim=-1) & (confidences > 0)
    kinds = torch.bucketize(confidences, confidences.new_tensor(CONFIDENCES[1:]), right=True)
    believed = seen.points_world[frame_id].to(cut.camera_from_world)
    targets, depths = project(transform_points(cut.camera_from_world, believed), cut.intrinsics_px)
    lines = torch.stack([points.to(targets), targets], dim=1)[is_known & (depths > 0)]
    misses = "".join(path(line.numpy(), "") for line in lines)
    return tuple(dots(points[is_known & (kinds == kind)].tolist()) for kind in range(len(CONFIDENCES))), misses


def dots(points: Iterable[Iterable[float]]) -> str:
    """Points as lines of no length, which a round cap makes dots."""
    return "".join(f"M{x:.4g} {y:.4g}h0" for x, y in points)
