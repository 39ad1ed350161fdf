"""One picture of one moment, with everything known about it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .body import Pose
from .camera import Box, Camera
from .moving import map_tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """What one camera saw at one time.

    Attributes:
        camera: the camera, already cropped like the image.
        image: sRGB in [0, 1].
        is_foreground: true where the person is.
        pose: the body's pose at that time.
        frame_id: index of the time step in the capture.
        camera_id: index of the camera in the capture.
        crop: where the image lies in the full picture, or None when it is the full picture.
    """

    camera: Camera
    image: Float[Tensor, "h w 3"]
    is_foreground: Bool[Tensor, "h w"]
    pose: Pose
    frame_id: int
    camera_id: int
    crop: Box | None = None

    def to(self, device: torch.device | str) -> "Frame":
        """The same picture with its tensors, those of camera and pose too, on ``device``."""
        return map_tensors(self, lambda tensor: tensor.to(device))
