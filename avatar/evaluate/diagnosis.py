"""Why renderings of a split are not as sharp as its pictures: what is measured, picture by picture."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from avatar.body import load_body
from avatar.model import Avatar
from avatar.structs import Body, Camera, Capture, Frame, Split

from .body_parts import part_of_vertices, seen_triangles
from .metrics import foreground_box
from .picture_check import Pair, PictureCheck, check_picture
from .protocol import RenderFrame, evenly_spread, pose_and_camera

MARGIN_PX = 16


@dataclass(frozen=True, kw_only=True)
class DiagnosisConfig:
    """How much to look at.

    Attributes:
        max_frames, max_cameras: of a split, evenly spread; frames are what faults of poses are told from.
    """

    max_frames: int = 12
    max_cameras: int = 8

    def __post_init__(self) -> None:
        for name in ("max_frames", "max_cameras"):
            if getattr(self, name) < 1:
                raise ValueError(f"DiagnosisConfig.{name}: expected at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was measured on pictures of one split."""

    subject: str
    split: str
    pictures: tuple[PictureCheck, ...]

    @property
    def frame_ids(self) -> tuple[int, ...]:
        """The frames looked at, ascending."""
        return tuple(sorted({picture.frame_id for picture in self.pictures}))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras looked at, in the capture's order."""
        return tuple(dict(sorted((picture.camera_id, picture.camera) for picture in self.pictures)).values())

    @classmethod
    def read(cls, path: Path) -> "Diagnosis":
        """The figures that ``Findings.write`` wrote.

        Raises FileNotFoundError, and ValueError when the file is something else.
        """
        try:
            stored = json.loads(path.read_text("utf-8"))
            pictures = tuple(PictureCheck.from_json(row) for row in stored["pictures"])
            return cls(subject=stored["subject"], split=stored["split"], pictures=pictures)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: not a diagnosis ({error!r}); evaluate again") from error


def sampled(split: Split, config: DiagnosisConfig) -> Split:
    """The part of a split that is looked at."""
    frames = [split.frame_ids[i] for i in evenly_spread(len(split.frame_ids), config.max_frames)]
    cameras = [split.camera_ids[i] for i in evenly_spread(len(split.camera_ids), config.max_cameras)]
    return Split(name=split.name, frame_ids=tuple(frames), camera_ids=tuple(cameras))


@torch.no_grad()
def diagnose(
    capture: Capture,
    split: Split,
    avatar: Avatar,
    render_frame: RenderFrame,
    on_picture: Callable[[PictureCheck], None] | None = None,
    knows_frames: bool = True,
) -> Diagnosis:
    """Compare every picture of ``split`` (see ``sampled``) with its rendering; ``on_picture`` is told each result.

    What the avatar has learnt of single poses and cameras counts where it ``knows_frames``: where this is the capture
    that it was fitted to.
    """
    template = load_body(avatar.rig)
    parts = part_of_vertices(template, avatar.template.vertices.cpu())
    checks = []
    for frame_id, camera_id in split.pairs():
        frame = capture.load_frame(frame_id, camera_id, False)
        pose, camera = pose_and_camera(frame, knows_frames)
        body = avatar.body(avatar.shape, pose.to(avatar.device), camera)
        pair = _pair(frame, render_frame, _seen_parts(body, frame.camera, parts))
        checks.append(check_picture(pair, frame_id, camera_id, frame.camera.name))
        if on_picture:
            on_picture(checks[-1])
    return Diagnosis(subject=capture.name, split=split.name, pictures=tuple(checks))


def _seen_parts(body: Body, camera: Camera, parts: Int[Tensor, " v"]) -> Int[Tensor, "h w"]:
    """Index into ``PARTS`` of what each pixel sees of the naked body, -1 beside it."""
    triangles = seen_triangles(body, camera)
    of_triangle = parts[body.rest.faces[:, 0].cpu()]
    return of_triangle[triangles.clamp(min=0)].where(triangles >= 0, -1)


def _pair(frame: Frame, render_frame: RenderFrame, parts: Int[Tensor, "h w"]) -> Pair:
    """Picture and rendering on the CPU, cut to where there is something in either."""
    rendering = render_frame(frame)
    is_covered = rendering.alpha.cpu() > 0.5
    box = foreground_box(is_covered | frame.is_foreground.cpu())
    height, width = is_covered.shape
    rows, columns = slice(0, height), slice(0, width)
    if box:
        box = box.padded(MARGIN_PX, height, width)
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    images = (frame.image, rendering.color.clamp(0, 1), frame.is_foreground, is_covered, parts)
    truth, render, mask, covered, seen = (image.cpu()[rows, columns].contiguous().numpy() for image in images)
    return Pair(truth=truth, render=render, is_foreground=mask, is_covered=covered, parts=seen)
