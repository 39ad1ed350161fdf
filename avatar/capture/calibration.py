"""Camera tables of the ZJU-MoCap layout, as pickled ``annots.npy`` or as ``cameras.json``, to house cameras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import torch
from jaxtyping import Float

from avatar.structs import Camera

from .errors import CaptureError
from .tables import field, floats, integer, sequence, table

PixelOrigin = Literal["corner", "centre"]

# Some sets store rotations with few digits, so they are projected to SO(3); further off than this is a mistake.
ROTATION_TOLERANCE = 1e-2


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """One camera as its table has it, in metres.

    Attributes:
        name: the camera's name.
        intrinsics_px: the 3 x 3 matrix; where pixel (0, 0) lies is the capture's ``pixel_origin``.
        camera_from_world: rigid transform from world to camera.
        distortion: OpenCV's k1 k2 p1 p2 k3.
        size: height and width in pixels where the table says, else None.
    """

    name: str
    intrinsics_px: Float[np.ndarray, "3 3"]
    camera_from_world: Float[np.ndarray, "4 4"]
    distortion: Float[np.ndarray, "5"]
    size: tuple[int, int] | None = None

    def camera(self, height: int, width: int, pixel_origin: PixelOrigin) -> Camera:
        """The house camera: pixel centres at .5, so half a pixel is added where the table puts them at integers."""
        intrinsics = self.intrinsics_px.copy()
        match pixel_origin:
            case "centre":
                intrinsics[:2, 2] += 0.5
            case "corner":
                pass
            case _:
                assert_never(pixel_origin)
        return Camera(
            name=self.name,
            camera_from_world=torch.from_numpy(self.camera_from_world).float(),
            intrinsics_px=torch.from_numpy(intrinsics).float(),
            height=height,
            width=width,
        )


def calibrations_from_annots(cams: object, names: list[str], path: Path) -> list[Calibration]:
    """The cameras of ``annots["cams"]``: parallel lists K, R, T (millimetres) and, if distorted, D."""
    columns = table(cams, path, "cams")
    k, r, t = (sequence(field(columns, key, path, "cams"), path, f"cams[{key!r}]", len(names)) for key in "KRT")
    d = sequence(columns["D"], path, "cams['D']", len(names)) if "D" in columns else [[0.0] * 5] * len(names)
    return [_calibration({"K": k[i], "R": r[i], "T": t[i], "D": d[i]}, name, path) for i, name in enumerate(names)]


def calibrations_from_json(cameras: dict[str, object], path: Path) -> list[Calibration]:
    """The cameras of a ``cameras.json``: by name K, R, T_m (metres), width, height and, if distorted, D."""
    return [_calibration(table(entry, path, name), name, path) for name, entry in cameras.items()]


def _calibration(entry: dict[str, object], name: str, path: Path) -> Calibration:
    translation = (
        floats(entry["T_m"], (3,), path, f"{name}: T_m")
        if "T_m" in entry
        else floats(field(entry, "T", path, name), (3,), path, f"{name}: T") / 1000.0
    )
    camera_from_world = np.eye(4)
    camera_from_world[:3, :3] = _rotation(floats(field(entry, "R", path, name), (3, 3), path, f"{name}: R"), name, path)
    camera_from_world[:3, 3] = translation
    size = None
    if "width" in entry or "height" in entry:
        height, width = (
            integer(field(entry, key, path, name), path, f"{name}: {key}", 1, 65535) for key in ("height", "width")
        )
        size = (height, width)
    return Calibration(
        name=name,
        intrinsics_px=_intrinsics(floats(field(entry, "K", path, name), (3, 3), path, f"{name}: K"), name, path),
        camera_from_world=camera_from_world,
        distortion=floats(entry["D"], (5,), path, f"{name}: D") if "D" in entry else np.zeros(5),
        size=size,
    )


def _intrinsics(matrix: Float[np.ndarray, "3 3"], name: str, path: Path) -> Float[np.ndarray, "3 3"]:
    fixed = matrix[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]]
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or np.abs(fixed - [0, 0, 0, 0, 1]).max() > 1e-6:
        raise CaptureError(
            path, f"{name}: K: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths"
        )
    return matrix


def _rotation(matrix: Float[np.ndarray, "3 3"], name: str, path: Path) -> Float[np.ndarray, "3 3"]:
    """The nearest rotation, ``U V^T`` of the singular value decomposition."""
    try:
        u, _, vt = np.linalg.svd(matrix)
    except np.linalg.LinAlgError as error:
        raise CaptureError(path, f"{name}: R is no rotation ({error})") from error
    nearest = u @ vt
    if np.linalg.det(nearest) < 0 or np.abs(nearest - matrix).max() > ROTATION_TOLERANCE:
        raise CaptureError(path, f"{name}: R is no rotation from world to camera; calibrate again")
    return nearest
