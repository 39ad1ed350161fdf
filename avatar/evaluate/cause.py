"""What a likely reason for blur is, and from where on something counts as one."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["calibration", "mask", "colour", "pose", "outline", "cloth", "blur", "coverage", "unknown"]


@dataclass(frozen=True, kw_only=True)
class CauseConfig:
    """From where on something counts as a cause.

    Measured after fits to clean captures of six and eight cameras with pictures of 512 pixels a side: shifts of a
    training camera stay under 0.2 pixels, brightness within 1 %, intersection over union within 0.002 between frames,
    motion of a part under 0.5 pixels. A fit gives way: a camera 2 pixels off out of six ends at 0.8.

    Attributes:
        shift_px, scale: a camera whose pictures all lie so far beside their renderings, or are so much larger.
        rim_px: a camera whose masks are all so much wider or narrower than what is rendered.
        brightness: a camera whose pictures are so much brighter or darker, in any channel.
        standard_errors: what is found over frames must be so many standard errors away from zero.
        iou_drop: a frame whose outlines agree, over cameras, so much less than the other frames'.
        deviations: and by so many of the frames' (robust) standard deviations.
        iou_drop_lone: a picture whose outlines agree so much less than its camera's and its frame's usually do.
        iou: under this median of all pictures, outlines disagree everywhere.
        motion_px: a part whose picture moves by so much against its rendering, and holds its share of the error.
        detail: below this share of the pictures' fine detail renderings are soft.
        unseen: share of one side of a part that no picture shows.
    """

    shift_px: float = 0.4
    scale: float = 0.004
    rim_px: float = 0.75
    brightness: float = 0.05
    standard_errors: float = 4.0
    iou_drop: float = 0.015
    deviations: float = 5.0
    iou_drop_lone: float = 0.05
    iou: float = 0.93
    motion_px: float = 0.7
    detail: float = 0.8
    unseen: float = 0.4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"CauseConfig.{name}: expected a positive number, got {value}")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One likely reason.

    Attributes:
        kind: what kind of fault.
        what: whom it accuses: the name of a camera, of frames, of parts of the body.
        sentence: what is wrong and what to do about it.
        evidence: the figures behind it.
        share: of the squared error that it holds, 0 to 1; of coverage: of the skin.
    """

    kind: Kind
    what: str
    sentence: str
    evidence: str
    share: float
