"""The capture that a run was fitted to: what it says, its pictures, and how much of the body they show."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.canonical import clothed_surface
from avatar.capture import PictureConfig
from avatar.evaluate import DiagnosisConfig, sampled
from avatar.model import HybridAvatar
from avatar.render import visible_cosines
from avatar.runs import capture_for
from avatar.structs import Camera, Capture

from .contract import CaptureCamera, CaptureInfo, SplitInfo
from .newest import Newest
from .runs import RunFolder

MOST_CAPTURES = 2
PICTURES = PictureConfig(cache_bytes=2**27)
RASTER_SCALE = 0.5  # of the pictures: enough to tell which limb hides which
FASTEST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Captures:
    """The captures looked at last."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` is that of the runs made of it; others remember theirs."""
        self._folder = folder
        self._kept: Newest[Capture] = Newest(MOST_CAPTURES)

    def of(self, run: RunFolder, avatar: HybridAvatar) -> Capture:
        """The capture of a run. FileNotFoundError or ValueError say in one line why there is none."""
        record = run.record()
        if self._folder is not None:
            given = self._read(self._folder, avatar)
            if record is None or record.capture == given.name:
                return given
        if record is None or record.capture_folder is None:
            raise FileNotFoundError(f"{run.name}: does not say where its capture is; give avatar view --capture")
        return self._read(Path(record.capture_folder), avatar)

    def _read(self, folder: Path, avatar: HybridAvatar) -> Capture:
        return self._kept.get((folder, avatar.rig), lambda: capture_for(avatar, folder, pictures=PICTURES))


def capture_info(capture: Capture) -> CaptureInfo:
    """What a capture says about itself."""
    splits = {
        name: SplitInfo(camera_ids=split.camera_ids, frame_ids=split.frame_ids)
        for name, split in capture.splits.items()
        if len(split)
    }
    cameras = [_camera(camera) for camera in capture.cameras]
    return CaptureInfo(name=capture.name, cameras=cameras, num_frames=capture.num_frames, splits=splits)


def _camera(camera: Camera) -> CaptureCamera:
    return CaptureCamera(
        name=camera.name,
        width=camera.width,
        height=camera.height,
        intrinsics_px=camera.intrinsics_px.flatten().tolist(),
        camera_from_world=camera.camera_from_world.flatten().tolist(),
    )


def picture(capture: Capture, camera: str, frame: str) -> bytes:
    """A PNG of the person whose alpha is the mask. FileNotFoundError where the capture has no such picture."""
    cameras = {known.name: index for index, known in enumerate(capture.cameras)}
    frames = {str(index): index for index in range(capture.num_frames)}
    if camera not in cameras or frame not in frames:
        raise FileNotFoundError("no such picture; see the cameras and the number of frames of the capture")
    shown = capture.load_frame(frames[frame], cameras[camera], False)
    colors = shown.image.mul(255).round().to(torch.uint8).numpy()[..., ::-1]
    alpha = shown.is_foreground.numpy()[..., None] * np.uint8(255)
    return cv2.imencode(".png", np.concatenate((colors, alpha), axis=2), FASTEST)[1].tobytes()


@torch.no_grad()
def coverage(run: RunFolder, avatar: HybridAvatar, capture: Capture) -> Float[Tensor, " v"]:
    """Of each vertex of the clothed surface: the share of training pictures, a sample of them, that show it.

    FileNotFoundError where this is not the capture that the run was fitted to.
    """
    record = run.record()
    if record is None or record.capture != capture.name or record.split not in capture.splits:
        raise FileNotFoundError(f"{run.name}: the pictures it was fitted to are not those of {capture.name!r}")
    split = sampled(capture.splits[record.split], DiagnosisConfig())
    surface = clothed_surface(avatar.canonical)
    count = torch.zeros(len(avatar.template.vertices))
    for frame in split.frame_ids:
        mesh = avatar.clothed_mesh(replace(capture.poses[frame], frame_id=frame), surface)
        for camera_id in split.camera_ids:
            camera = capture.cameras[camera_id].scaled(RASTER_SCALE)
            count += visible_cosines(mesh.vertices, mesh.faces, camera) > 0
    return count / len(split)
