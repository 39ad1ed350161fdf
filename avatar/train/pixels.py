"""Pixels of all cameras at one moment, to draw rays from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from avatar.engine import Rays
from avatar.render import camera_rays
from avatar.structs import Camera, Capture, Frame, Pose

_RIM_PX = 4
_MOST_PIXELS = 4e8  # kept, of four to eight bytes each


class Batch(NamedTuple):
    """Rays in the world and what the pictures show there: sRGB over black, and whether that is the person."""

    rays: Rays
    colors: Float[Tensor, "r 3"]
    is_foreground: Bool[Tensor, " r"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """One row a pixel of what some cameras saw at one moment, around the person.

    Attributes:
        pose: of the body at that moment.
        cameras: that took the pictures, whose pixels follow each other row by row.
        colors: sRGB in 256 steps.
        is_foreground: true where the person is.
        near: rows that matter most, such as those of the person and a rim around it.
    """

    pose: Pose
    cameras: tuple[Camera, ...]
    colors: UInt8[Tensor, "n 3"]
    is_foreground: Bool[Tensor, " n"]
    near: Int[Tensor, " m"]

    @classmethod
    def of(cls, frames: Sequence[Frame], near: Sequence[Bool[Tensor, "h w"]] | None = None) -> "Pixels":
        """All pixels of the pictures, which show one moment; ``near`` are those of the person unless others are."""
        rims = torch.cat([rim.flatten() for rim in near or [with_rim(frame.is_foreground) for frame in frames]])
        return cls(
            pose=frames[0].pose,
            cameras=tuple(frame.camera for frame in frames),
            colors=torch.cat([(frame.image * 255).round().to(torch.uint8).flatten(0, 1) for frame in frames]),
            is_foreground=torch.cat([frame.is_foreground.flatten() for frame in frames]),
            near=rims.nonzero()[:, 0].int(),
        )

    def draw(self, count: int, near_share: float, generator: torch.Generator) -> Batch:
        """``count`` of them, ``near_share`` on the person and its rim as far as there is one, the rest anywhere.

        They come in random order, so that the first of them are as good a selection as all.
        """
        on_person = round(count * near_share) if len(self.near) else 0
        anywhere = torch.randint(len(self.colors), (count - on_person,), generator=generator)
        picks = torch.randint(max(1, len(self.near)), (on_person,), generator=generator)
        rows = torch.cat([self.near[picks], anywhere])[torch.randperm(count, generator=generator)]
        return Batch(
            rays=self._rays(rows),
            colors=self.colors[rows] / 255,
            is_foreground=self.is_foreground[rows],
        )

    def _rays(self, rows: Int[Tensor, " r"]) -> Rays:
        """Through pixels, in the world."""
        origins, directions = torch.empty(len(rows), 3), torch.empty(len(rows), 3)
        first = 0
        for camera in self.cameras:
            size = camera.height * camera.width
            which = ((rows >= first) & (rows < first + size)).nonzero()[:, 0]
            places = rows[which] - first
            centres = torch.stack([places % camera.width, places // camera.width], 1) + 0.5
            found = camera_rays(camera, centres)
            origins[which], directions[which] = found.origins, found.directions
            first += size
        return Rays(origins, directions)


class PixelStore:
    """The pixels of moments of a capture that some cameras saw; read when they are asked for, kept as room allows."""

    def __init__(self, capture: Capture, camera_ids: Sequence[int]) -> None:
        self._capture, self._camera_ids = capture, camera_ids
        self._moments: dict[int, Pixels] = {}

    def __getitem__(self, frame_id: int) -> Pixels:
        """Those of one time step."""
        if frame_id not in self._moments:
            frames = [self._capture.load_frame(frame_id, camera, True) for camera in self._camera_ids]
            pixels = Pixels.of(frames)
            while self._moments and (len(self._moments) + 1) * len(pixels.colors) > _MOST_PIXELS:
                self._moments.pop(next(iter(self._moments)))
            self._moments[frame_id] = pixels
        return self._moments[frame_id]


def with_rim(is_foreground: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The person and a few pixels around."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _RIM_PX + 1,) * 2)
    return torch.from_numpy(cv2.dilate(is_foreground.numpy().astype(np.uint8), kernel) > 0)
