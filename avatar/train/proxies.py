"""What no camera sees keeps the look of the prior: pictures of it, taken in the canonical frame, supervise those parts.

Occlusion handling of MetaCap (Sun et al. 2024); the pictures are rendered from the prior when a fit begins, each ray
counts or not for itself. The more of the body nobody sees, the more rays there are, and the more their shape counts.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from avatar.model import FieldAvatar
from avatar.render import orbit, render, view_mesh, visible_cosines
from avatar.structs import Camera, Capture, Frame, Mesh, Split, map_tensors

from .pixels import Pixels, with_rim

_DISTANCE_M = 4.5  # at which pictures of 28 degrees hold two metres


@dataclass(frozen=True, kw_only=True)
class ProxyConfig:
    """Pictures of the prior.

    Attributes:
        views: around it.
        height_px: of each picture, which is as wide.
        samples: for one of the pictures' own, if nothing at all were seen; less as more is.
    """

    views: int = 12
    height_px: int = 192
    samples: float = 0.5

    def __post_init__(self) -> None:
        for name, least in (("views", 1), ("height_px", 8)):
            if getattr(self, name) < least:
                raise ValueError(f"ProxyConfig.{name}: expected {least} or more, got {getattr(self, name)}")
        if not self.samples > 0:
            raise ValueError(f"ProxyConfig.samples: expected more than zero, got {self.samples}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Proxies:
    """What the prior looks like where no camera sees the person.

    Attributes:
        pixels: of canonical pictures of the prior; ``near`` are those that count.
        share: of the body that nobody sees, 0 to 1.
        samples: of theirs for one of the pictures'.
    """

    pixels: Pixels
    share: float
    samples: float

    @classmethod
    @torch.no_grad()
    def of(cls, prior: FieldAvatar, capture: Capture, split: Split, config: ProxyConfig) -> "Proxies | None":
        """Pictures of the ``prior`` around the person of the ``capture``; None where cameras see all of it."""
        is_seen = seen_vertices(prior, capture, split)
        body, scene = map_tensors(prior.deform.canonical_body, Tensor.cpu), prior.canonical()
        template = Mesh(vertices=body.vertices_world, faces=body.rest.faces)
        frames, count = [], []
        for camera in _around(template, config):
            image = render(scene, camera)
            frames.append(
                Frame(
                    camera=camera,
                    image=image.color.clamp(0, 1),
                    is_foreground=image.alpha > 0.5,
                    pose=body.pose,
                    frame_id=0,
                    camera_id=0,
                )
            )
            count.append(with_rim(image.alpha > 0.5) & ~_shows_seen(template, camera, is_seen))
        pixels = Pixels.of(frames, count)
        share = 1 - float(is_seen.float().mean())
        return cls(pixels=pixels, share=share, samples=config.samples * share) if len(pixels.near) else None


@torch.no_grad()
def seen_vertices(avatar: FieldAvatar, capture: Capture, split: Split) -> Bool[Tensor, " v"]:
    """Which vertices of the body any camera of a split sees in any of its frames."""
    faces = avatar.template.faces.cpu()
    is_seen = torch.zeros(len(avatar.template.vertices), dtype=torch.bool)
    for frame_id in split.frame_ids:
        pose = capture.pose(frame_id).to(avatar.device)
        vertices = avatar.body(avatar.shape, pose).vertices_world.cpu()
        for camera_id in split.camera_ids:
            is_seen |= visible_cosines(vertices, faces, capture.cameras[camera_id]) > 0
    return is_seen


def _around(template: Mesh, config: ProxyConfig) -> list[Camera]:
    """Cameras around a mesh, by turns from a little above and from below."""
    middle = (template.vertices.amax(0) + template.vertices.amin(0)) / 2
    targets = middle.expand(config.views, 3)
    cameras = [
        orbit(targets, _DISTANCE_M, height=config.height_px, width=config.height_px, elevation=elevation)
        for elevation in (0.5, -0.3)
    ]
    return [cameras[view % 2][view] for view in range(config.views)]


def _shows_seen(template: Mesh, camera: Camera, is_seen: Bool[Tensor, " v"]) -> Bool[Tensor, "h w"]:
    """Pixels on the body, and not next to its unseen parts, that show what is seen."""
    triangles = view_mesh(template.vertices, template.faces, camera).raster.triangles
    shows = (triangles >= 0) & is_seen[template.faces].all(1)[triangles.clamp_min(0)]
    return torch.from_numpy(cv2.erode(shows.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
