"""``intri.yml`` and ``extri.yml`` of EasyMocap, which many programs read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from avatar.geometry import axis_angles_from_quats, quats_from_matrices

from ..calibration import Calibration
from .conventions import centre_intrinsics


def write_easymocap(folder: Path, calibrations: Sequence[Calibration]) -> None:
    """Write the cameras into an existing ``folder``; ``read_easymocap`` gives them back.

    Pixel centres are at integers in the files, rotations vectors (``R_``) and matrices (``Rot_``), translations metres.
    """
    names = [calibration.name for calibration in calibrations]
    intri: dict[str, np.ndarray | int] = {}
    extri: dict[str, np.ndarray | int] = {}
    for calibration in calibrations:
        name, rotation = calibration.name, calibration.camera_from_world[:3, :3]
        intri[f"K_{name}"] = centre_intrinsics(calibration.intrinsics_px)
        intri[f"dist_{name}"] = calibration.distortion[None]
        if calibration.size is not None:
            intri[f"H_{name}"], intri[f"W_{name}"] = calibration.size
        extri[f"R_{name}"] = axis_angles_from_quats(quats_from_matrices(torch.from_numpy(rotation)))[:, None].numpy()
        extri[f"Rot_{name}"] = rotation
        extri[f"T_{name}"] = calibration.camera_from_world[:3, 3:]
    _write(folder / "intri.yml", names, intri)
    _write(folder / "extri.yml", names, extri)


def _write(path: Path, names: Sequence[str], values: Mapping[str, np.ndarray | int]) -> None:
    file = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    file.write("names", list(names))
    for key, value in values.items():
        file.write(key, value)
    path.write_text(file.releaseAndGetString())
