"""Calibrated cameras to a file that ``avatar.capture.camera_files`` reads back: the house's JSON or Pose2Sim's TOML."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2

from avatar.atomic import replacing
from avatar.capture.calibration import Calibration
from avatar.capture.camera_files.conventions import centre_intrinsics


def write_calibrations(calibrations: Sequence[Calibration], path: Path) -> None:
    """Write ``*.json`` (pixel centres at .5) or ``*.toml`` (pixel centres at integers), metres, whole or not at all.

    Raises ValueError for another suffix, and for a camera that does not know the size of its pictures.
    """
    if unsized := [calibration.name for calibration in calibrations if calibration.size is None]:
        raise ValueError(f"{path}: {unsized[0]} does not know the size of its pictures; calibrate it again")
    match path.suffix:
        case ".json":
            text = json.dumps({calibration.name: _table(calibration) for calibration in calibrations}, indent=1)
        case ".toml":
            tables = [_toml(index, calibration) for index, calibration in enumerate(calibrations)]
            text = "\n".join([*tables, '[metadata]\nadjusted = true\nunit = "m"\n'])
        case _:
            raise ValueError(f"{path}: expected a name that ends in .json or .toml")
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def _table(calibration: Calibration) -> dict[str, object]:
    height, width = calibration.size or (0, 0)
    table: dict[str, object] = {
        "K": calibration.intrinsics_px.tolist(),
        "R": calibration.camera_from_world[:3, :3].tolist(),
        "T_m": calibration.camera_from_world[:3, 3].tolist(),
        "D": calibration.distortion.tolist(),
        "width": width,
        "height": height,
    }
    return table | ({"fisheye": True} if calibration.is_fisheye else {})


def _toml(index: int, calibration: Calibration) -> str:
    height, width = calibration.size or (0, 0)
    turn = cv2.Rodrigues(calibration.camera_from_world[:3, :3])[0][:, 0]
    lines = {
        "name": json.dumps(calibration.name, ensure_ascii=False),
        "size": [float(width), float(height)],
        "matrix": centre_intrinsics(calibration.intrinsics_px).tolist(),
        "distortions": calibration.distortion.tolist(),
        "rotation": turn.tolist(),
        "translation": calibration.camera_from_world[:3, 3].tolist(),
        "fisheye": str(calibration.is_fisheye).lower(),
    }
    return "\n".join([f"[cam_{index}]", *(f"{key} = {value}" for key, value in lines.items()), ""])
