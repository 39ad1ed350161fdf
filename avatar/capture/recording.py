"""What every reader makes of its folder: cameras, pictures and perhaps a body; and the one way from there to a Capture.

A reader of a published set leaves the world as the set has it. Here it is turned to z-up, cameras and body alike, and
cameras are scaled to pictures that were published smaller than they were calibrated.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.structs import Camera, Capture, Mesh, Split

from .body_parameters import BodyParameters
from .calibration import Calibration
from .errors import CaptureError, MissingFileError
from .pictures import Lens, PictureConfig, PictureLoader, PictureSource
from .smpl_poses import PoseFromSmpl, SmplPoses, no_body
from .splits import default_splits
from .upright import upright_turn

LOG = logging.getLogger(__name__)
# The rate of a capture that does not say its own.
FRAME_RATE_HZ = 30.0


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the caller of a reader wants.

    Attributes:
        split: a split whose pictures and masks are to be checked for existence now; otherwise a missing one is an error
            only when it is asked for.
        pictures: cropping, background and memory for pictures.
        pose_from_smpl: what turns poses of the SMPL family into ours, with the body model. Without it such captures
            come with cameras, pictures and masks but without body: rig ``none``, no joints.
    """

    split: str | None = None
    pictures: PictureConfig = field(default_factory=PictureConfig)
    pose_from_smpl: PoseFromSmpl | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """A capture before it is one.

    Attributes:
        name: the capture's name.
        where: the file that errors about cameras name.
        calibrations: all cameras, metres, pixel centres at .5.
        source: pictures and masks.
        num_frames: how many time steps there are.
        body: the poses of a body of the SMPL family, in the world of the cameras; None without.
        house_from_world: the rotation to z-up; None to find it out by the cameras.
        splits: named parts; by default those of ``default_splits``.
        frame_rate_hz: time steps a second.
        load_surface: see ``Capture``.
    """

    name: str
    where: Path
    calibrations: Sequence[Calibration]
    source: PictureSource
    num_frames: int
    body: SmplPoses | None = None
    house_from_world: Float[np.ndarray, "3 3"] | None = None
    splits: Mapping[str, Split] = field(default_factory=dict)
    frame_rate_hz: float = FRAME_RATE_HZ
    load_surface: Callable[[int], Mesh | None] | None = None


def published_capture(recording: Recording, options: ReadOptions) -> Capture:
    """The capture of a published set: z-up, its cameras as large as its pictures, its body in our form.

    Raises MissingFileError or CaptureError when sizes do not fit, and whatever ``options.pose_from_smpl`` raises.
    """
    turn = recording.house_from_world
    if turn is None:
        turn = upright_turn(recording.calibrations, recording.where)
    calibrations = [
        _fitted(calibration.turned(turn), recording.source.size(index), recording.where)
        for index, calibration in enumerate(recording.calibrations)
    ]
    body = no_body(recording.num_frames)
    if recording.body is not None and options.pose_from_smpl is not None:
        body = recording.body.parameters(options.pose_from_smpl, turn)
    return capture_of(replace(recording, calibrations=calibrations), body, options)


def capture_of(recording: Recording, body: BodyParameters, options: ReadOptions) -> Capture:
    """The capture of a recording whose world is the house's already, with this body.

    Raises CaptureError or MissingFileError when it has no picture, or not the split that ``options`` want.
    """
    cameras = _sized_cameras(recording)
    splits = dict(recording.splits) or default_splits(len(cameras), recording.num_frames)
    if options.split is not None:
        if options.split not in splits:
            raise CaptureError(recording.where, f"no split {options.split!r}; there are {', '.join(splits)}")
        recording.source.check(splits[options.split])
    capture = Capture(
        name=recording.name,
        cameras=tuple(cameras),
        poses=body.poses,
        shape=body.shape,
        splits=splits,
        frame_rate_hz=recording.frame_rate_hz,
        load_frame=PictureLoader(
            name=str(recording.where),
            source=recording.source,
            cameras=cameras,
            lenses=[_lens(*pair) for pair in zip(recording.calibrations, cameras, strict=True)],
            poses=body.poses,
            config=options.pictures,
        ),
        rig=body.rig,
    )
    return capture if recording.load_surface is None else replace(capture, load_surface=recording.load_surface)


def _fitted(calibration: Calibration, size: tuple[int, int] | None, where: Path) -> Calibration:
    """The camera of pictures of another size than it was calibrated for."""
    if size is None or calibration.size in (None, size):
        return calibration
    LOG.warning(
        "%s: %s is calibrated for %s (h x w), its pictures are %s",
        where,
        calibration.name,
        *_said(calibration.size, size),
    )
    return calibration.scaled_picture(size, where)


def _said(*sizes: tuple[int, int]) -> list[str]:
    return [f"{height} x {width}" for height, width in sizes]


def _sized_cameras(recording: Recording) -> list[Camera]:
    """House cameras; a size that the table lacks is that of the camera's first picture, or of another camera's."""
    sizes = [
        calibration.size or recording.source.size(index) for index, calibration in enumerate(recording.calibrations)
    ]
    known = next((size for size in sizes if size is not None), None)
    if known is None:
        recording.source.image(0, 0)
        raise MissingFileError(recording.where, "no picture of any camera; restore them")
    return [
        calibration.camera(*(size or known)) for calibration, size in zip(recording.calibrations, sizes, strict=True)
    ]


def _lens(calibration: Calibration, camera: Camera) -> Lens | None:
    """What undoes the camera's distortion, or None when it has none."""
    if not calibration.distortion.any() and not calibration.is_fisheye:
        return None
    intrinsics = camera.intrinsics_px.double().numpy().copy()
    intrinsics[:2, 2] -= 0.5
    return Lens(intrinsics_px=intrinsics, distortion=calibration.distortion, is_fisheye=calibration.is_fisheye)
