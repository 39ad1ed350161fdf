"""What is known of a person before a body is fitted, and what is found out on the way."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from avatar.structs import Camera, Pose, Shape

from .synchronise import MotionSignal
from .triangulate import BoneLength

MaskLoader = Callable[[int, int], Bool[ndarray, "h w"] | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Observations:
    """What one or several synchronised cameras see of one person, in undistorted pictures.

    Attributes:
        cameras: the final ones; the world is z-up, metres.
        frame_rate_hz: time steps a second.
        points_px: the landmarks of ``skeleton.NAMES``, left and right as ``triangulate`` found them; pixel centres at
            .5, NaN where nobody was found.
        confidences: 0 to 1, zero where not seen.
        points_world: triangulated landmarks, NaN where fewer than two cameras saw them; of one camera, its landmarks
            as far away as guessed.
        point_confidences: 0 to 1, of ``points_world``.
        guesses_m: each landmark as a network guesses it from one picture alone, in that camera's axes (x right, y down,
            z forward), metres from the middle of the hips; NaN where nobody was found.
        load_mask: ``(frame_id, camera_id)`` to the person's mask, or None where there is no picture or nobody in it.
        height_m: the person's, where it has to be told: one camera sees no sizes.
    """

    cameras: tuple[Camera, ...]
    frame_rate_hz: float
    points_px: Float[Tensor, "f c 33 2"]
    confidences: Float[Tensor, "f c 33"]
    points_world: Float[Tensor, "f 33 3"]
    point_confidences: Float[Tensor, "f 33"]
    guesses_m: Float[Tensor, "f c 33 3"]
    load_mask: MaskLoader
    height_m: float | None = None

    @property
    def num_frames(self) -> int:
        """Number of time steps."""
        return len(self.points_px)

    def every(self, stride: int) -> "Observations":
        """Every so many time steps."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kept = {name: value[::stride] for name, value in values.items() if isinstance(value, Tensor)}
        return replace(
            self,
            **kept,
            frame_rate_hz=self.frame_rate_hz / stride,
            load_mask=lambda frame_id, camera_id: self.load_mask(stride * frame_id, camera_id),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBody:
    """The person that explains the observations best.

    Attributes:
        rig: the skeleton, for ``avatar.body.load_body``.
        shape: one for all frames.
        poses: of every time step, also of those in which nobody was found.
        residuals_px: how far each landmark is from where the body has it; NaN where not seen.
        overlaps: intersection over union of the body's outline and the mask; NaN without mask.
    """

    rig: str
    shape: Shape
    poses: Pose
    residuals_px: Float[Tensor, "f c 33"]
    overlaps: Float[Tensor, "f c"]


@dataclass(frozen=True, kw_only=True)
class CameraFindings:
    """What was found out about one camera and its video.

    Attributes:
        name: of the camera.
        video: file or folder that its pictures came from.
        offset_s: what is added to its clock to get the first camera's.
        sync_confidence: 0 to 1; below a tenth the offset is not to be trusted. NaN where clocks were not compared.
        missing: time steps without a picture.
        unseen: time steps in which nobody was found in the picture.
        before_px, after_px: median distance of the landmarks from where the other cameras say they are, with the
            calibration as given and as used; NaN where that is not known.
        unrest: share of the static scene that changes; more than a tenth means a moving camera. NaN if not looked at.
        notes: what the user should know of its calibration, a sentence each: letterbox, doubts about the lens.
    """

    name: str
    video: str
    offset_s: float
    sync_confidence: float
    missing: int
    unseen: int
    before_px: float
    after_px: float
    unrest: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that the report shows beside the capture itself.

    Attributes:
        name: of the capture.
        frame_rate_hz: time steps a second.
        cameras: in the capture's order.
        signals: each camera's motion by its own clock, as clocks were compared; empty where they were not.
        points_world: triangulated landmarks, NaN where unknown.
        residuals_px: of each camera's landmarks, median over them, from their points; NaN where unknown.
        fit_residuals_px: the same from the fitted body's landmarks.
        disagreements: of the two opinions on a mask, see ``Foreground``; NaN where there is one opinion only.
        overlaps: intersection over union of fitted body and mask; NaN without mask.
        bones: how constant lengths are that should be.
        is_refined: whether the cameras were moved by the landmarks.
        warnings: what is weak, worst first, a sentence each that says what to do.
    """

    name: str
    frame_rate_hz: float
    cameras: tuple[CameraFindings, ...]
    signals: tuple[MotionSignal, ...]
    points_world: Float[Tensor, "f 33 3"]
    residuals_px: Float[Tensor, "f c"]
    fit_residuals_px: Float[Tensor, "f c"]
    disagreements: Float[Tensor, "f c"]
    overlaps: Float[Tensor, "f c"]
    bones: tuple[BoneLength, ...]
    is_refined: bool
    warnings: tuple[str, ...]
