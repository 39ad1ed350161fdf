"""Qualisys Track Manager's ``.qca.txt``: XML with pixels in 64ths and camera centres in millimetres, world z-up.

The file's rotation has the camera's axes as rows, in a camera that looks along its -z with y up, so
``R = diag(1, -1, -1) B``. Its tangential coefficients are spelled "tangental". Distortion is read as it stands:
Pose2Sim divides it by 64 as well, which leaves next to none; which is right shows in the reprojection error. Pixel
centres are taken to be at integers, as Pose2Sim and OpenCV do.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..calibration import Calibration
from ..errors import CaptureError
from ..files import read_bytes
from .conventions import corner_intrinsics, parse_floats, pinhole

MAX_FILE_BYTES = 10 * 2**20
SUBPIXELS = 64.0
MILLIMETRE = 1e-3
VIDEO_MODELS = ("video", "hybrid", "none")


def read_qualisys(path: Path) -> list[Calibration]:
    """The video cameras of a ``.qca.txt`` file, in natural order of their serial numbers."""
    data = read_bytes(path, MAX_FILE_BYTES)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise CaptureError(path, "has a document type, which calibrations do not need; remove it")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise CaptureError(path, f"is no XML ({error}); export it again") from error
    cameras = [camera for camera in root.iter("camera") if _takes_videos(camera)]
    return [_camera(camera, path) for camera in sorted(cameras, key=_natural_order)]


def _takes_videos(camera: ElementTree.Element) -> bool:
    model = camera.get("model", "none").lower()
    return any(kind in model for kind in VIDEO_MODELS)


def _natural_order(camera: ElementTree.Element) -> tuple[int, str]:
    serial = camera.get("serial", "")
    digits = re.sub(r"\D", "", serial, flags=re.ASCII)[:18]
    return int(digits or 0), serial


def _camera(camera: ElementTree.Element, path: Path) -> Calibration:
    name = camera.get("serial", "")[:80]
    left, top, right, bottom = _numbers(camera, "fov_video", ("left", "top", "right", "bottom"), name, path)
    axes = _numbers(camera, "transform", tuple(f"r{row}{column}" for row in "123" for column in "123"), name, path)
    centre = MILLIMETRE * _numbers(camera, "transform", ("x", "y", "z"), name, path)
    focals = _numbers(camera, "intrinsic", ("focalLengthU", "focalLengthV"), name, path) / SUBPIXELS
    centres = _numbers(camera, "intrinsic", ("centerPointU", "centerPointV"), name, path) / SUBPIXELS
    keys = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
    rotation = np.diag([1.0, -1.0, -1.0]) @ axes.reshape(3, 3)
    return Calibration.checked(
        name or "camera",
        path,
        intrinsics_px=corner_intrinsics(pinhole(focals[0], focals[1], centres[0] - left, centres[1] - top)),
        camera_from_world=np.column_stack([rotation, -rotation @ centre]),
        distortion=_numbers(camera, "intrinsic", keys, name, path),
        size=(int(bottom - top) + 1, int(right - left) + 1),
    )


def _numbers(camera: ElementTree.Element, tag: str, keys: tuple[str, ...], name: str, path: Path) -> np.ndarray:
    element = camera.find(tag)
    if element is None:
        raise CaptureError(path, f"camera {name!r} has no {tag!r}; export it again")
    if missing := [key for key in keys if key not in element.attrib]:
        raise CaptureError(path, f"camera {name!r}: {tag} has no {missing[0]!r}; export it again")
    return parse_floats([element.attrib[key] for key in keys], (len(keys),), path, f"camera {name!r}: {tag}")
