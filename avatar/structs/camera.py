"""One pinhole camera and the rectangle of pixels it looks at."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .moving import map_tensors


@dataclass(frozen=True, kw_only=True)
class Box:
    """A half-open rectangle of pixels: rows ``top .. bottom - 1``, columns ``left .. right - 1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def padded(self, margin_px: int, height: int, width: int) -> "Box":
        """The box grown by ``margin_px`` on every side and clipped to an image of ``height`` x ``width``."""
        return Box(
            top=max(0, self.top - margin_px),
            left=max(0, self.left - margin_px),
            bottom=min(height, self.bottom + margin_px),
            right=min(width, self.right + margin_px),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """A pinhole camera without lens distortion, in OpenCV axes.

    Attributes:
        name: the camera's name in its capture.
        camera_from_world: rigid transform from world metres to camera metres (x right, y down, z forward).
        intrinsics_px: ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` in pixels, pixel centres at .5.
        height, width: size of the image in pixels.
    """

    name: str = ""
    camera_from_world: Float[Tensor, "4 4"]
    intrinsics_px: Float[Tensor, "3 3"]
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"Camera {self.name!r}: expected a positive size, got {self.height} x {self.width}")

    @property
    def centre_world(self) -> Float[Tensor, "3"]:
        """Optical centre in world metres."""
        return -self.camera_from_world[:3, :3].mT @ self.camera_from_world[:3, 3]

    def crop(self, box: Box) -> "Camera":
        """The same camera seeing only ``box``: the principal point moves, nothing else does."""
        shift = torch.zeros_like(self.intrinsics_px)
        shift[0, 2], shift[1, 2] = box.left, box.top
        return replace(self, intrinsics_px=self.intrinsics_px - shift, height=box.height, width=box.width)

    def scaled(self, factor: float) -> "Camera":
        """The same camera with an image ``factor`` times as large; exact for pixel centres at .5."""
        height, width = max(1, round(self.height * factor)), max(1, round(self.width * factor))
        ratio = self.intrinsics_px.new_tensor([[width / self.width], [height / self.height], [1.0]])
        return replace(self, intrinsics_px=self.intrinsics_px * ratio, height=height, width=width)

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera with its tensors on ``device``."""
        return map_tensors(self, lambda tensor: tensor.to(device))
