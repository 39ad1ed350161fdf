"""Find out which program wrote a calibration, and read it."""

from pathlib import Path

import numpy as np

from ..calibration import Calibration, calibrations_from_json
from ..errors import CaptureError, MissingFileError
from ..files import read_json
from ..zju_mocap import read_annots_cameras
from .colmap import find_colmap, read_colmap
from .nerf import read_transforms
from .opencv import read_easymocap, read_opencv
from .pose2sim import read_toml
from .qualisys import read_qualisys

LARGEST_DISTANCE_M = 200.0
KNOWN = (
    "intri.yml with extri.yml, *.yml, *.qca.txt, *.toml, transforms.json, cameras.json, annots.npy, "
    "COLMAP's cameras and images"
)


def read_calibrations(path: Path, unit_m: float | None = None) -> list[Calibration]:
    """The cameras in a calibration file, or in a folder that holds ``intri.yml`` and ``extri.yml`` or COLMAP's files.

    Args:
        path: the file or folder.
        unit_m: the unit of its translations in metres where the file does not say: 0.001 for millimetres, the side of
            a square for a calibration that counts squares, any number for a reconstruction from pictures alone.

    Raises MissingFileError or CaptureError with one line that names the file, also for cameras that stand so far apart
    that the unit must be wrong.
    """
    if not path.exists():
        raise MissingFileError(path, f"no such calibration; give one of {KNOWN}")
    calibrations = _read(path, unit_m)
    if not calibrations:
        raise CaptureError(path, "has no cameras; calibrate again")
    names = [calibration.name for calibration in calibrations]
    if len(set(names)) < len(names):
        raise CaptureError(path, f"has two cameras {max(names, key=names.count)[:60]!r}; rename one")
    return calibrations


def _read(path: Path, unit_m: float | None) -> list[Calibration]:
    name = path.name.lower()
    if path.is_dir() and find_colmap(path) is not None:
        return _scaled(read_colmap(path), unit_m)
    if path.is_dir():
        return _metric(read_easymocap(path), path, unit_m or 1.0)
    if name in ("intri.yml", "extri.yml"):
        return _metric(read_easymocap(path.parent), path, unit_m or 1.0)
    if name.endswith((".yml", ".yaml")):
        return _metric(read_opencv(path, unit_m), path, 1.0)
    if name.endswith((".qca.txt", ".xml")):
        return _metric(read_qualisys(path), path, 1.0)
    if name.endswith(".toml"):
        return _metric(read_toml(path), path, unit_m or 1.0)
    if name.endswith(".npy"):
        return _metric(read_annots_cameras(path), path, 1.0)
    if name.endswith(".json"):
        return (
            _metric(calibrations_from_json(values, path), path, 1.0)
            if (values := _own(path))
            else read_transforms(path)
        )
    raise CaptureError(path, f"is no calibration that avatar reads; give one of {KNOWN}")


def _own(path: Path) -> dict[str, object] | None:
    """The table of a ``cameras.json`` of ours, with pixel centres at .5; None for any other JSON."""
    values = read_json(path)
    return values if all(isinstance(entry, dict) and "K" in entry for entry in values.values()) else None


def _metric(calibrations: list[Calibration], path: Path, unit_m: float) -> list[Calibration]:
    """The cameras with translations times ``unit_m``; refused when they stand farther apart than any rig."""
    scaled = _scaled(calibrations, unit_m)
    centres = [calibration.centre_world for calibration in scaled]
    distance = float(np.ptp(centres, axis=0).max()) if centres else 0.0
    if distance > LARGEST_DISTANCE_M:
        raise CaptureError(
            path, f"its cameras would stand {distance:.0f} m apart; give the unit, 0.001 if these are millimetres"
        )
    return scaled


def _scaled(calibrations: list[Calibration], unit_m: float | None) -> list[Calibration]:
    return [calibration.scaled_world(unit_m or 1.0) for calibration in calibrations]
