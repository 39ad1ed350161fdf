"""Numbers out of text, and the few steps from other conventions of cameras to the house's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from avatar.geometry import matrices_from_axis_angles, matrices_from_quats, normalize_quats

from ..errors import CaptureError


def parse_floats(words: Sequence[str], shape: tuple[int, ...], path: Path, what: str) -> Float[np.ndarray, "..."]:
    """The finite numbers in ``words``, as many as ``shape`` holds."""
    count = int(np.prod(shape, dtype=object))
    if len(words) != count:
        raise CaptureError(path, f"{what}: expected {count} numbers, got {len(words)}")
    try:
        numbers = np.array([float(word) for word in words], np.float64).reshape(shape)
    except ValueError as error:
        raise CaptureError(path, f"{what}: expected {count} numbers ({error})") from error
    if not np.isfinite(numbers).all():
        raise CaptureError(path, f"{what}: expected finite numbers, got NaN or infinity; calibrate again")
    return numbers


HALF_PIXEL = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])


def corner_intrinsics(intrinsics_px: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Intrinsics with pixel centres at .5 of those with pixel centres at integers."""
    return intrinsics_px + HALF_PIXEL


def centre_intrinsics(intrinsics_px: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The inverse of ``corner_intrinsics``."""
    return intrinsics_px - HALF_PIXEL


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Float[np.ndarray, "3 3"]:
    """``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def matrix_from_rotation_vector(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation about ``vector`` by its length (Rodrigues)."""
    return matrices_from_axis_angles(torch.from_numpy(np.array(vector, np.float64))).numpy()


def matrix_from_quat(quat: Float[np.ndarray, "4"]) -> Float[np.ndarray, "3 3"]:
    """The rotation of a quaternion ``wxyz`` of any length but zero; zero gives no rotation matrix."""
    return matrices_from_quats(normalize_quats(torch.from_numpy(np.array(quat, np.float64)))).numpy()


def inverted(camera_to_world: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "3 4"]:
    """The first three rows of the inverse of a rigid transform."""
    rotation = camera_to_world[:3, :3].T
    return np.column_stack([rotation, -rotation @ camera_to_world[:3, 3]])
