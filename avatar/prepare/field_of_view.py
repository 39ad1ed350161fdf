"""How wide a camera sees that nobody calibrated: as given, as its video records it, or as its turns, perspective on
the person and what is usual tell."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from av.error import FFmpegError
from jaxtyping import Float
from scipy.special import softmax
from torch import Tensor

from .camera_motion import Corners, turning_costs
from .person_depth import locate

NARROWEST_DEG, WIDEST_DEG = 5.0, 150.0
# Of phones and webcams, and how the logarithms of their focal lengths vary.
USUAL_DEG, SPREAD = 57.0, 0.3
# Guesses take a part of perspective for the person's pose: at 12 cameras known to us focal lengths came out 1.4 times
# too long (logarithms vary by 0.27).
LONGER = 1.4
# The longer side of a 4:3 sensor with the diagonal of 35 mm film, of which stabilisation cuts off a part.
FILM_MM, RECORDED_SPREAD = 34.6 / 1.08, 0.08
MOST_FRAMES = 200
# Focal lengths that are tried, in longer sides; no estimate by a plain lens is surer than that (logarithm).
FOCALS = np.geomspace(0.3, 5.0, 65)
SUREST = 0.05
TELLING = 5.0  # log of odds from which on turns tell of the lens


@dataclass(frozen=True, kw_only=True)
class FieldOfView:
    """A field of view, and how well it is known.

    Attributes:
        degrees: across the longer side of the picture.
        spread: standard deviation of the logarithm of the focal length; zero where it was given.
        source: what it comes from, for the user.
    """

    degrees: float
    spread: float
    source: str

    def __post_init__(self) -> None:
        if not NARROWEST_DEG <= self.degrees <= WIDEST_DEG:
            raise ValueError(
                f"field of view: expected {NARROWEST_DEG:g} to {WIDEST_DEG:g} degrees across the longer side of the "
                f"picture, got {self.degrees:g}"
            )

    @property
    def range_degrees(self) -> tuple[float, float]:
        """One standard deviation down and up."""
        share = _share(self.degrees)
        return _degrees(share * math.exp(self.spread)), _degrees(share * math.exp(-self.spread))

    def intrinsics_px(self, height: int, width: int) -> Float[Tensor, "3 3"]:
        """Of a camera without distortion that looks through the middle of its picture."""
        focal_px = _share(self.degrees) * max(height, width)
        return torch.tensor([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])


def recorded_field_of_view(video: Path) -> FieldOfView | None:
    """What the camera wrote into its video, as some phones do; None where there is nothing of the kind.

    Raises ValueError for what is no video.
    """
    try:
        with av.open(str(video), metadata_errors="replace") as container:
            tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    except FFmpegError as error:
        raise ValueError(f"{video}: cannot be read as a video ({error.strerror}); copy it again") from error
    for name, value in (pair for metadata in tags for pair in metadata.items()):
        if "focal" in name.lower() and "35" in name:
            focal_mm = _number(value)
            degrees = _degrees(focal_mm / FILM_MM) if focal_mm > 0 else 0.0
            if NARROWEST_DEG <= degrees <= WIDEST_DEG:
                return FieldOfView(degrees=degrees, spread=RECORDED_SPREAD, source=f"the video's record ({value} mm)")
    return None


def estimated_field_of_view(
    points_px: Float[Tensor, "f 33 2"],
    confidences: Float[Tensor, "f 33"],
    guesses_m: Float[Tensor, "f 33 3"],
    scene: list[Corners],
    size: tuple[int, int],
) -> FieldOfView:
    """The field of view of pictures of that ``size`` (height, width), near to what is usual.

    It is the one at which guesses project best onto landmarks, all frames counting as one, since guesses err alike in
    them; and which explains best how the ``scene`` of a camera that turns moves in its pictures. Raises ValueError
    where nobody was found.
    """
    is_found = (confidences > 0).any(dim=1) & points_px.isfinite().all(-1).any(-1)
    if not bool(is_found.any()):
        raise ValueError("field of view: nobody was found in any frame; give --fov, or another video")
    rows = is_found.nonzero()[:, 0]
    rows = rows[:: -(-len(rows) // MOST_FRAMES)]
    centred = (points_px[rows].double() - torch.tensor([size[1] / 2, size[0] / 2])) / max(size)
    seen = (confidences[rows], guesses_m[rows])
    by_person = [float(locate(centred / (LONGER * focal), *seen)[1].mean()) for focal in FOCALS]
    by_turning = turning_costs(scene, FOCALS)
    logs = np.log(FOCALS)
    usual = ((logs - np.log(_share(USUAL_DEG))) / SPREAD) ** 2 / 2
    chances = softmax(-np.array(by_person) - by_turning - usual)
    mean = float(chances @ logs)
    turns = "its turns, " if by_turning.max() > TELLING else ""
    return FieldOfView(
        degrees=_degrees(math.exp(mean)),
        spread=math.hypot(SUREST, float(np.sqrt(chances @ (logs - mean) ** 2))),
        source=f"{turns}perspective on the person, and what is usual",
    )


def _degrees(share: float) -> float:
    """Field of view across the longer side of a focal length that is this share of it."""
    return math.degrees(2 * math.atan(0.5 / share))


def _share(degrees: float) -> float:
    return 0.5 / math.tan(math.radians(degrees) / 2)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
