"""Write a capture in the layout that ``zju_mocap`` reads, without a pickle."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from avatar.atomic import replacing, replacing_folder
from avatar.structs import Camera, Capture, Frame

from .body_parameters import BodyParameters, write_body
from .files import read_bytes
from .picture_files import PNG_SIGNATURE
from .surfaces import write_surfaces

JPEG_QUALITY = 95

# A time step and a camera, by their indices.
Pair = tuple[int, int]
# ``(frame_id, camera_id)`` to the file that holds the very pixels of that whole picture, or None where there is none.
FileOf = Callable[[int, int], Path | None]


def write_capture(
    capture: Capture,
    folder: Path,
    *,
    suffix: str = ".jpg",
    jpeg_quality: int = JPEG_QUALITY,
    pairs: Iterable[Pair] | None = None,
    file_of: FileOf | None = None,
    on_picture: Callable[[], None] | None = None,
) -> None:
    """Write cameras, body, splits, true surfaces, and every picture and mask that a split needs; all of it or nothing.

    Pictures are those that ``capture.load_frame`` gives, whole, so a capture read without its background is written
    without it. ``read_capture(folder)`` gives the same capture back, its pictures rounded to eight bits and, with
    ``suffix=".jpg"``, compressed.

    Args:
        capture: what to write.
        folder: a new or empty one.
        suffix, jpeg_quality: how pictures are compressed.
        pairs: the pictures to write instead.
        file_of: files to copy pictures from, so that none is compressed again; those that have none become PNG.
        on_picture: is called after each.

    Raises ValueError when the folder is not empty, or the suffix, the quality or a split's name is not usable.
    """
    if suffix not in (".jpg", ".png") or not 1 <= jpeg_quality <= 100:
        raise ValueError(
            f"write_capture: expected '.jpg' or '.png' and quality 1 to 100, got {suffix!r}, {jpeg_quality}"
        )
    if pairs is None:
        pairs = sorted({pair for split in capture.splits.values() for pair in split.pairs()})
    with replacing_folder(folder) as place:
        write_tables(capture, place)
        write_surfaces(capture, place)
        for frame_id, camera_id in pairs:
            frame = capture.load_frame(frame_id, camera_id, False)
            if file_of is None:
                write_picture(picture_path(place, frame.camera.name, frame_id, suffix), bytes_of(frame), jpeg_quality)
            else:
                stem = picture_path(place, frame.camera.name, frame_id, "")
                write_unchanged(stem, frame, file_of(frame_id, camera_id))
            write_mask(mask_path(place, frame.camera.name, frame_id), frame.is_foreground.numpy(force=True))
            if on_picture:
                on_picture()


def write_tables(capture: Capture, folder: Path) -> None:
    """Write cameras, splits and body: all of a capture but its pictures, which are not looked at.

    Raises ValueError when a split's name is not usable.
    """
    about = description(capture, pixel_origin="corner")
    cameras = {camera.name: _camera_table(camera) for camera in capture.cameras}
    write_body_of(capture, folder)
    # The cameras come last: by them the folder is known for a capture.
    for name, table in ("splits.json", about), ("cameras.json", cameras):
        with replacing(folder / name) as temporary:
            temporary.write_text(json.dumps(table, indent=1))


def description(capture: Capture, **more: str) -> dict[str, object]:
    """What ``splits.json`` holds: facts of the capture, ``more`` of them, and its splits.

    Raises ValueError when a split is called like one of the facts.
    """
    about: dict[str, object] = {
        "capture": capture.name,
        "frames": capture.num_frames,
        "cameras": [camera.name for camera in capture.cameras],
        "frame_rate": capture.frame_rate_hz,
        **more,
    }
    if taken := about.keys() & capture.splits.keys():
        raise ValueError(f"capture {capture.name!r}: a split may not be called {sorted(taken)[0]!r}; rename it")
    return about | {
        name: {"frames": list(split.frame_ids), "cameras": [capture.cameras[index].name for index in split.camera_ids]}
        for name, split in capture.splits.items()
    }


def write_body_of(capture: Capture, folder: Path) -> None:
    """Write rig, shape and poses, to the bit, as ``body_default.npz``."""
    with replacing(folder / "body_default.npz") as temporary:
        write_body(temporary, BodyParameters(rig=capture.rig, shape=capture.shape, poses=capture.poses))


def picture_path(folder: Path, camera: str, frame_id: int, suffix: str = ".jpg") -> Path:
    """Where a camera's picture of a time step lies."""
    return folder / camera / f"{frame_id:06d}{suffix}"


def mask_path(folder: Path, camera: str, frame_id: int) -> Path:
    """Where its mask lies."""
    return folder / "mask" / camera / f"{frame_id:06d}.png"


def bytes_of(frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as it is stored, eight bits a value."""
    return (frame.image.clamp(0.0, 1.0) * 255.0).round().byte().numpy(force=True)


def write_picture(path: Path, pixels: UInt8[np.ndarray, "h w 3"], jpeg_quality: int = JPEG_QUALITY) -> None:
    """Write a picture, sRGB, in the format that the path's suffix says."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    _write(path, cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes())


def write_unchanged(stem: Path, frame: Frame, file: Path | None) -> str:
    """Write a picture without loss: a copy of ``file``, which holds its pixels, or a PNG. Returns the suffix."""
    if file is None:
        write_picture(stem.with_suffix(".png"), bytes_of(frame))
        return ".png"
    data = read_bytes(file)
    suffix = ".png" if data.startswith(PNG_SIGNATURE) else ".jpg"
    _write(stem.with_suffix(suffix), data)
    return suffix


def write_mask(path: Path, is_foreground: Bool[np.ndarray, "h w"], label: int | None = None) -> None:
    """Write a mask, 0 and 255, one bit a pixel on disk; 0 and ``label``, one byte a pixel, where that is given."""
    options = [cv2.IMWRITE_PNG_BILEVEL, 1] if label is None else []
    pixels = is_foreground.astype(np.uint8) * np.uint8(255 if label is None else label)
    _write(path, cv2.imencode(path.suffix, pixels, options)[1].tobytes())


def _camera_table(camera: Camera) -> dict[str, object]:
    return {
        "K": camera.intrinsics_px.tolist(),
        "R": camera.camera_from_world[:3, :3].tolist(),
        "T_m": camera.camera_from_world[:3, 3].tolist(),
        "width": camera.width,
        "height": camera.height,
    }


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)
