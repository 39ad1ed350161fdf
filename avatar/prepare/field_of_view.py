"""How wide a camera sees that nobody calibrated: as given, as its video records it, or as perspective on the person
and what is usual tell."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from av.error import FFmpegError
from jaxtyping import Float
from torch import Tensor

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
    height: int,
    width: int,
) -> FieldOfView:
    """The field of view at which guesses project best onto landmarks, near to what is usual.

    All frames together count as one, since guesses err alike in them. Raises ValueError where nobody was found.
    """
    is_found = (confidences > 0).any(dim=1) & points_px.isfinite().all(-1).any(-1)
    if not bool(is_found.any()):
        raise ValueError("field of view: nobody was found in any frame; give --fov, or another video")
    rows = is_found.nonzero()[:, 0]
    rows = rows[:: -(-len(rows) // MOST_FRAMES)]
    side = max(height, width)
    centred = (points_px[rows].double() - torch.tensor([width / 2, height / 2])) / side
    logs = torch.linspace(math.log(0.25), math.log(6.0), 33, dtype=torch.float64)
    costs = [
        locate(centred / (LONGER * float(log.exp())), confidences[rows], guesses_m[rows])[1].mean() for log in logs
    ]
    prior = ((logs - math.log(_share(USUAL_DEG))) / SPREAD).square() / 2
    chances = torch.softmax(-torch.stack(costs) - prior, dim=0)
    mean = (chances * logs).sum()
    spread = (chances * (logs - mean).square()).sum().sqrt()
    return FieldOfView(
        degrees=_degrees(float(mean.exp())),
        spread=float(spread),
        source="perspective on the person, and what is usual",
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
