"""Write a capture in the layout that ``zju_mocap`` reads, without a pickle."""

import json
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from avatar.structs import Camera, Capture

from .body_parameters import BodyParameters, write_body

JPEG_QUALITY = 95


def write_capture(capture: Capture, folder: Path, *, suffix: str = ".jpg", jpeg_quality: int = JPEG_QUALITY) -> None:
    """Write cameras, body, splits, and every picture and mask that a split needs.

    Pictures are those that ``capture.load_frame`` gives, whole, so a capture read without its background is written
    without it. ``read_capture(folder)`` gives the same capture back, its pictures rounded to eight bits and, with
    ``suffix=".jpg"``, compressed; but for true surfaces, which are not written.

    Raises ValueError when the folder is not empty, or the suffix, the quality or a split's name is not usable.
    """
    if suffix not in (".jpg", ".png") or not 1 <= jpeg_quality <= 100:
        raise ValueError(
            f"write_capture: expected '.jpg' or '.png' and quality 1 to 100, got {suffix!r}, {jpeg_quality}"
        )
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: expected a new or empty folder; choose another or empty it")
    about = {
        "capture": capture.name,
        "frames": capture.num_frames,
        "cameras": [camera.name for camera in capture.cameras],
        "frame_rate": capture.frame_rate_hz,
        "pixel_origin": "corner",
    }
    if taken := about.keys() & capture.splits.keys():
        raise ValueError(f"capture {capture.name!r}: a split may not be called {sorted(taken)[0]!r}; rename it")
    folder.mkdir(parents=True, exist_ok=True)
    cameras = {camera.name: _camera_table(camera) for camera in capture.cameras}
    splits = {
        name: {"frames": list(split.frame_ids), "cameras": [capture.cameras[index].name for index in split.camera_ids]}
        for name, split in capture.splits.items()
    }
    (folder / "cameras.json").write_text(json.dumps(cameras, indent=1))
    (folder / "splits.json").write_text(json.dumps(about | splits))
    body = BodyParameters(rig=capture.rig, shape=capture.shape, poses=capture.poses)
    write_body(folder / "body_default.npz", body)
    pairs = sorted({pair for split in capture.splits.values() for pair in split.pairs()})
    for frame_id, camera_id in pairs:
        frame = capture.load_frame(frame_id, camera_id, False)
        stem = f"{frame.camera.name}/{frame_id:06d}"
        pixels = (frame.image.clamp(0.0, 1.0) * 255.0).round().byte().numpy(force=True)
        mask = frame.is_foreground.byte().numpy(force=True) * 255
        options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if suffix == ".jpg" else []
        _write_picture(folder / (stem + suffix), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
        _write_picture(folder / "mask" / f"{stem}.png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])


def _camera_table(camera: Camera) -> dict[str, object]:
    return {
        "K": camera.intrinsics_px.tolist(),
        "R": camera.camera_from_world[:3, :3].tolist(),
        "T_m": camera.camera_from_world[:3, 3].tolist(),
        "width": camera.width,
        "height": camera.height,
    }


def _write_picture(path: Path, pixels: UInt8[np.ndarray, "h w *d"], options: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels, options)[1].tobytes())
