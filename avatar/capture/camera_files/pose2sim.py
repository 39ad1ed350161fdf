"""``Calib.toml`` of Pose2Sim and anipose, ``camera_array.toml`` of caliscope: a table a camera.

Rotation and translation are world to camera, the rotation a vector or, in older caliscope files, a matrix. Pose2Sim
writes metres; anipose and caliscope whatever unit the board's squares were given in. Pixel centres are at integers.
"""

import tomllib
from pathlib import Path

import numpy as np

from ..calibration import Calibration
from ..errors import CaptureError
from ..files import read_bytes
from ..tables import field, floats, sequence, table, text
from .conventions import corner_intrinsics, matrix_from_rotation_vector

MAX_FILE_BYTES = 10 * 2**20
NO_CAMERAS = ("metadata", "capture_volume", "charuco", "checkerboard")


def read_toml(path: Path) -> list[Calibration]:
    """The cameras of a calibration in TOML, translations in the file's unit. Cameras marked ``ignore`` are left out."""
    try:
        values: dict[str, object] = tomllib.loads(read_bytes(path, MAX_FILE_BYTES).decode())
    except (ValueError, RecursionError) as error:
        raise CaptureError(path, f"is no TOML ({error}); write it anew") from error
    nested = values.get("cameras")
    tables = nested if isinstance(nested, dict) else values
    cameras = {key: table(entry, path, key) for key, entry in tables.items() if key not in NO_CAMERAS}
    return [_camera(key, entry, path) for key, entry in cameras.items() if entry.get("ignore") is not True]


def _camera(key: str, entry: dict[str, object], path: Path) -> Calibration:
    name = text(entry.get("name", key), path, f"{key}: name")
    rotation = sequence(field(entry, "rotation", path, key), path, f"{key}: rotation")
    if rotation and isinstance(rotation[0], list):
        matrix = floats(rotation, (3, 3), path, f"{key}: rotation")
    else:
        matrix = matrix_from_rotation_vector(floats(rotation, (3,), path, f"{key}: rotation"))
    translation = floats(field(entry, "translation", path, key), (3, 1), path, f"{key}: translation")
    lens = sequence(entry.get("distortions", []), path, f"{key}: distortions")
    size = None
    if "size" in entry:
        width, height = floats(entry["size"], (2,), path, f"{key}: size").round()
        size = (int(height), int(width))
    return Calibration.checked(
        name,
        path,
        intrinsics_px=corner_intrinsics(floats(field(entry, "matrix", path, key), (3, 3), path, f"{key}: matrix")),
        camera_from_world=np.hstack([matrix, translation]),
        distortion=floats(lens, (len(lens),), path, f"{key}: distortions"),
        size=size,
        is_fisheye=entry.get("fisheye") is True,
    )
