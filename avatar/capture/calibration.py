"""One camera as some file has it, checked, and as the house has it; the tables of the ZJU-MoCap layout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from avatar.structs import Camera

from .errors import CaptureError
from .picture_files import MAX_PIXELS
from .tables import field, floats, integer, sequence, table

PixelOrigin = Literal["corner", "centre"]

# Some sets store rotations with few digits, so they are projected to SO(3); further off than this is a mistake.
ROTATION_TOLERANCE = 1e-2
# As far as rounding to float32 takes a rotation from being one: such matrices are kept as they are, so that what was
# read and written is read again to the last bit.
ROUNDING = 1e-6
LARGEST = 1e6
LARGEST_SIDE = 65535
# How many coefficients OpenCV's lens models take: k1 k2 p1 p2 (k3 (k4 k5 k6)), and k1 k2 k3 k4 of a fisheye.
BROWN_COUNTS, FISHEYE_COUNT = (0, 1, 2, 4, 5, 8), 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """One camera as its table has it, in metres.

    Attributes:
        name: the camera's name.
        intrinsics_px: the 3 x 3 matrix, pixel centres at .5; tables of the ZJU-MoCap layout as they stand until
            ``from_origin``.
        camera_from_world: rigid transform from world to camera.
        distortion: OpenCV's k1 k2 p1 p2 k3, or those and k4 k5 k6; k1 to k4 of a fisheye.
        size: height and width in pixels where the table says, else None.
        is_fisheye: whether the distortion is that of OpenCV's fisheye model.
    """

    name: str
    intrinsics_px: Float[np.ndarray, "3 3"]
    camera_from_world: Float[np.ndarray, "4 4"]
    distortion: Float[np.ndarray, " d"]
    size: tuple[int, int] | None = None
    is_fisheye: bool = False

    @classmethod
    def checked(
        cls,
        name: str,
        path: Path,
        *,
        intrinsics_px: Float[np.ndarray, "3 3"],
        camera_from_world: Float[np.ndarray, "3 4"],
        distortion: Sequence[float] | np.ndarray = (),
        size: tuple[int, int] | None = None,
        is_fisheye: bool = False,
    ) -> "Calibration":
        """A camera of the file ``path``; CaptureError says what is no pinhole camera, no rotation, or out of range.

        Missing coefficients of the distortion are zero.
        """
        numbers = np.array(distortion, np.float64).ravel()
        if (len(numbers) != FISHEYE_COUNT) if is_fisheye else (len(numbers) not in BROWN_COUNTS):
            expected = FISHEYE_COUNT if is_fisheye else "1, 2, 4, 5 or 8"
            raise CaptureError(path, f"{name}: distortion: expected {expected} numbers, got {len(numbers)}")
        if not (np.abs(camera_from_world) < LARGEST).all() or not (np.abs(numbers) < LARGEST).all():
            raise CaptureError(path, f"{name}: expected finite numbers below {LARGEST:g}; calibrate again, in metres")
        transform = np.eye(4)
        transform[:3, :3] = _rotation(camera_from_world[:, :3], name, path)
        transform[:3, 3] = camera_from_world[:, 3]
        return cls(
            name=name,
            intrinsics_px=_intrinsics(intrinsics_px, name, path),
            camera_from_world=transform,
            distortion=np.pad(numbers, (0, max(0, 5 * (not is_fisheye) - len(numbers)))),
            size=None if size is None else _size(size, name, path),
            is_fisheye=is_fisheye,
        )

    @property
    def centre_world(self) -> Float[np.ndarray, "3"]:
        """Optical centre in the world."""
        return -self.camera_from_world[:3, :3].T @ self.camera_from_world[:3, 3]

    def scaled_picture(self, size: tuple[int, int], where: Path) -> "Calibration":
        """The same camera with pictures of another ``size`` (height, width); pixel centres are at .5.

        CaptureError naming ``where`` when the size is unknown or of another shape, to half a pixel.
        """
        height, width = self.size or (0, 0)
        if not height or abs(width * size[0] - height * size[1]) > max(height, width, *size) / 2:
            known, found = f"{height} x {width}", f"{size[0]} x {size[1]}"
            raise CaptureError(
                where, f"{self.name}: is calibrated for {known} (h x w), not {found}; scale the pictures"
            )
        ratio = np.array([[size[1] / width], [size[0] / height], [1.0]])
        return replace(self, intrinsics_px=self.intrinsics_px * ratio, size=size)

    def from_origin(self, origin: PixelOrigin) -> "Calibration":
        """The camera of a table whose pixel (0, 0) has its corner or its centre at the origin, as the house has it."""
        half = 0.5 if origin == "centre" else 0.0
        shift = np.array([[0.0, 0.0, half], [0.0, 0.0, half], [0.0, 0.0, 0.0]])
        return replace(self, intrinsics_px=self.intrinsics_px + shift)

    def scaled_world(self, factor: float) -> "Calibration":
        """The same camera in a world ``factor`` times as large."""
        transform = self.camera_from_world.copy()
        transform[:3, 3] *= factor
        return replace(self, camera_from_world=transform)

    def turned(self, house_from_world: Float[np.ndarray, "3 3"]) -> "Calibration":
        """The same camera in a turned world."""
        transform = self.camera_from_world.copy()
        transform[:3, :3] = transform[:3, :3] @ house_from_world.T
        return replace(self, camera_from_world=transform)

    def camera(self, height: int, width: int) -> Camera:
        """The house camera, for intrinsics with pixel centres at .5."""
        return Camera(
            name=self.name,
            camera_from_world=torch.from_numpy(self.camera_from_world).float(),
            intrinsics_px=torch.from_numpy(self.intrinsics_px).float(),
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
    """The cameras of a ``cameras.json``: by name K, R, T_m (metres), width, height and, if distorted, D and fisheye."""
    return [_calibration(table(entry, path, name), name, path) for name, entry in cameras.items()]


def _calibration(entry: dict[str, object], name: str, path: Path) -> Calibration:
    translation = (
        floats(entry["T_m"], (3,), path, f"{name}: T_m")
        if "T_m" in entry
        else floats(field(entry, "T", path, name), (3,), path, f"{name}: T") / 1000.0
    )
    rotation = floats(field(entry, "R", path, name), (3, 3), path, f"{name}: R")
    is_fisheye, size = entry.get("fisheye") is True, None
    if "width" in entry or "height" in entry:
        height, width = (
            integer(field(entry, key, path, name), path, f"{name}: {key}", 1, LARGEST_SIDE)
            for key in ("height", "width")
        )
        size = (height, width)
    return Calibration.checked(
        name,
        path,
        intrinsics_px=floats(field(entry, "K", path, name), (3, 3), path, f"{name}: K"),
        camera_from_world=np.column_stack([rotation, translation]),
        distortion=_lens(entry, is_fisheye, name, path),
        size=size,
        is_fisheye=is_fisheye,
    )


def _lens(entry: dict[str, object], is_fisheye: bool, name: str, path: Path) -> np.ndarray:
    count = FISHEYE_COUNT if is_fisheye else 5
    return floats(entry["D"], (count,), path, f"{name}: D") if "D" in entry else np.zeros(count)


def _size(size: tuple[int, int], name: str, path: Path) -> tuple[int, int]:
    if not all(1 <= side <= LARGEST_SIDE for side in size) or size[0] * size[1] > MAX_PIXELS:
        raise CaptureError(path, f"{name}: expected a picture of 1 to {MAX_PIXELS} pixels, got {size[1]} x {size[0]}")
    return size


def _intrinsics(matrix: Float[np.ndarray, "3 3"], name: str, path: Path) -> Float[np.ndarray, "3 3"]:
    fixed = matrix[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]]
    is_pinhole = np.abs(fixed - [0, 0, 0, 0, 1]).max() <= 1e-6 and matrix[0, 0] > 0 and matrix[1, 1] > 0
    if not is_pinhole or np.abs(matrix).max() > LARGEST:
        raise CaptureError(
            path, f"{name}: K: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths"
        )
    return matrix


def _rotation(matrix: Float[np.ndarray, "3 3"], name: str, path: Path) -> Float[np.ndarray, "3 3"]:
    """The nearest rotation, ``U V^T`` of the singular value decomposition; a rotation but for rounding is itself."""
    try:
        u, _, vt = np.linalg.svd(matrix)
    except np.linalg.LinAlgError as error:
        raise CaptureError(path, f"{name}: R is no rotation ({error})") from error
    nearest = u @ vt
    if np.linalg.det(nearest) < 0 or np.abs(nearest - matrix).max() > ROTATION_TOLERANCE:
        raise CaptureError(path, f"{name}: R is no rotation from world to camera; calibrate again")
    return matrix if np.abs(matrix @ matrix.T - np.eye(3)).max() < ROUNDING else nearest
