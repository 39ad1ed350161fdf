"""Do the landmarks contradict what the calibration says of the lenses?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.structs import Camera

from .bundle import BundleConfig, refine_cameras
from .rig_model import FOCAL, PRINCIPAL, RADIAL

Part = Literal["principal point", "focal length", "distortion"]

# How wrong a part may be before it is looked at, for each the freedom and the field of ``BundleConfig``.
PARTS: Final[dict[Part, tuple[slice, str, float]]] = {
    "principal point": (PRINCIPAL, "principal", 0.03),
    "focal length": (FOCAL, "focal", 0.05),
    "distortion": (RADIAL, "radial", 0.2),
}


@dataclass(frozen=True, kw_only=True)
class IntrinsicsDoubt:
    """A part of one camera's calibration that the landmarks contradict.

    Attributes:
        camera: its name.
        part: what is doubted.
        change: what the landmarks ask for, less than the whole error since they tell it badly: pixels along x and y,
            the share of the focal length, or the first coefficient of radial distortion.
        significance: the change in standard deviations.
    """

    camera: str
    part: Part
    change: tuple[float, ...]
    significance: float

    def __str__(self) -> str:
        match self.part:
            case "principal point":
                amount = f"by ({self.change[0]:+.0f}, {self.change[1]:+.0f}) px"
            case "focal length":
                amount = f"by {100 * self.change[0]:+.1f} %"
            case "distortion":
                amount = f"by k1 {self.change[0]:+.3f}"
        return f"{self.camera}: the {self.part} seems wrong {amount} or more; calibrate this camera again"


def doubt_intrinsics(
    cameras: Sequence[Camera],
    points_px: Float[Tensor, "f c j 2"],
    confidences: Float[Tensor, "f c j"],
    config: BundleConfig | None = None,
    significance: float = 1.0,
) -> list[IntrinsicsDoubt]:
    """What a bundle adjustment that may change one part of all lenses changes by more than its standard deviation.

    Most significant first. Cameras may turn and shift at the same time, so that the doubt is about the lens. On rigs
    whose lenses were right, no change reached 0.7 standard deviations.
    """
    config = config or BundleConfig(max_frames=20)
    doubts: list[IntrinsicsDoubt] = []
    for part, (freedom, name, deviation) in PARTS.items():
        bundle = refine_cameras(cameras, points_px, confidences, replace(config, **{name: deviation}))
        changes, deviations = bundle.changes[:, freedom], bundle.deviations[:, freedom]
        found = torch.linalg.vector_norm(changes / deviations, dim=-1)
        doubts += [
            IntrinsicsDoubt(
                camera=camera.name, part=part, change=tuple(changes[i].tolist()), significance=float(found[i])
            )
            for i, camera in enumerate(cameras)
            if found[i] > significance
        ]
    return sorted(doubts, key=lambda doubt: -doubt.significance)
