"""Write a capture in the layout that ``zju_mocap`` reads, without a pickle."""

import json
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from avatar.atomic import replacing
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
    write_tables(capture, folder)
    pairs = sorted({pair for split in capture.splits.values() for pair in split.pairs()})
    for frame_id, camera_id in pairs:
        frame = capture.load_frame(frame_id, camera_id, False)
        pixels = (frame.image.clamp(0.0, 1.0) * 255.0).round().byte().numpy(force=True)
        write_picture(picture_path(folder, frame.camera.name, frame_id, suffix), pixels, jpeg_quality)
        write_mask(mask_path(folder, frame.camera.name, frame_id), frame.is_foreground.numpy(force=True))


def write_tables(capture: Capture, folder: Path) -> None:
    """Write cameras, splits and body: all of a capture but its pictures, which are not looked at.

    Raises ValueError when a split's name is not usable.
    """
    about = {
        "capture": capture.name,
        "frames": capture.num_frames,
        "cameras": [camera.name for camera in capture.cameras],
        "frame_rate": capture.frame_rate_hz,
        "pixel_origin": "corner",
    }
    if taken := about.keys() & capture.splits.keys():
        raise ValueError(f"capture {capture.name!r}: a split may not be called {sorted(taken)[0]!r}; rename it")
    cameras = {camera.name: _camera_table(camera) for camera in capture.cameras}
    splits = {
        name: {"frames": list(split.frame_ids), "cameras": [capture.cameras[index].name for index in split.camera_ids]}
        for name, split in capture.splits.items()
    }
    with replacing(folder / "body_default.npz") as temporary:
        write_body(temporary, BodyParameters(rig=capture.rig, shape=capture.shape, poses=capture.poses))
    # The cameras come last: by them the folder is known for a capture.
    for name, table in ("splits.json", about | splits), ("cameras.json", cameras):
        with replacing(folder / name) as temporary:
            temporary.write_text(json.dumps(table, indent=1))


def picture_path(folder: Path, camera: str, frame_id: int, suffix: str = ".jpg") -> Path:
    """Where a camera's picture of a time step lies."""
    return folder / camera / f"{frame_id:06d}{suffix}"


def mask_path(folder: Path, camera: str, frame_id: int) -> Path:
    """Where its mask lies."""
    return folder / "mask" / camera / f"{frame_id:06d}.png"


def write_picture(path: Path, pixels: UInt8[np.ndarray, "h w 3"], jpeg_quality: int = JPEG_QUALITY) -> None:
    """Write a picture, sRGB, in the format that the path's suffix says."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    _write(path, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)


def write_mask(path: Path, is_foreground: Bool[np.ndarray, "h w"]) -> None:
    """Write a mask, 0 and 255, one bit a pixel on disk."""
    _write(path, is_foreground.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])


def _camera_table(camera: Camera) -> dict[str, object]:
    return {
        "K": camera.intrinsics_px.tolist(),
        "R": camera.camera_from_world[:3, :3].tolist(),
        "T_m": camera.camera_from_world[:3, 3].tolist(),
        "width": camera.width,
        "height": camera.height,
    }


def _write(path: Path, pixels: UInt8[np.ndarray, "h w *d"], options: list[int]) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, pixels, options)[1].tobytes())
