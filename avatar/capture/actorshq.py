"""ActorsHQ (Isik et al., "HumanRF", 2023): one resolution of one sequence, ``Actor01/Sequence1/4x``.

::

    calibration.csv                       name,w,h,rx,ry,rz,tx,ty,tz,fx,fy,px,py
    rgbs/Cam001/Cam001_rgb000000.jpg
    masks/Cam001/Cam001_mask000000.png
    smpl_params.npz                       not part of the set; SMPL-X under smplx's keywords, here or a folder up

The rotation vector and the place are the camera's in the world, metres, y up; focal lengths and the principal point are
fractions of width and height, the principal point measured from the corner.
"""

import csv
import re
from pathlib import Path

import numpy as np

from .calibration import Calibration
from .camera_files.conventions import inverted, matrix_from_rotation_vector, parse_floats, pinhole
from .errors import CaptureError, MissingFileError
from .files import read_bytes, read_npz, relative_path
from .pictures import PictureFiles
from .recording import Recording
from .smplx_keywords import poses_from_keywords

COLUMNS = ("w", "h", "rx", "ry", "rz", "tx", "ty", "tz", "fx", "fy", "px", "py")
RIG = "smplx_neutral"
FRAME_RATE_HZ = 25.0
BODY = "smpl_params.npz"


def is_actorshq(folder: Path) -> bool:
    """Whether ``folder`` holds the table of cameras and the pictures."""
    return (folder / "calibration.csv").exists() and (folder / "rgbs").is_dir()


def record_actorshq(folder: Path) -> Recording:
    """The capture in ``folder``; time steps are those of the body, or without one those of the first camera."""
    path = folder / "calibration.csv"
    calibrations = _cameras(path)
    names = [relative_path(calibration.name, path) for calibration in calibrations]
    body_path = next((place / BODY for place in (folder, folder.parent) if (place / BODY).exists()), None)
    body = None if body_path is None else poses_from_keywords(read_npz(body_path), RIG, body_path)
    num_frames = _count(folder / "rgbs" / names[0]) if body is None else len(body.turns)
    return Recording(
        name="_".join(folder.resolve().parts[-3:]),
        where=path,
        calibrations=calibrations,
        source=PictureFiles(
            root=folder,
            num_frames=num_frames,
            images=lambda frame, camera: [f"rgbs/{names[camera]}/{names[camera]}_rgb{frame:06d}.jpg"],
            masks=lambda frame, camera: [f"masks/{names[camera]}/{names[camera]}_mask{frame:06d}.png"],
        ),
        num_frames=num_frames,
        body=body,
        frame_rate_hz=FRAME_RATE_HZ,
    )


def _cameras(path: Path) -> list[Calibration]:
    try:
        rows = list(csv.reader(read_bytes(path).decode().splitlines(), skipinitialspace=True, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CaptureError(path, f"is no table of commas ({error}); copy it again") from error
    header = [word.strip() for word in rows[0]] if rows else []
    if missing := [column for column in ("name", *COLUMNS) if header.count(column) != 1]:
        raise CaptureError(path, f"has no column {missing[0]!r}; copy it again")
    cameras = []
    for row in rows[1:]:
        if len(row) != len(header):
            raise CaptureError(path, f"expected {len(header)} values in a row, got {row!r:.60}")
        entry = {column: word.strip() for column, word in zip(header, row, strict=True)}
        cameras.append(_camera(entry, path))
    if not cameras:
        raise CaptureError(path, "has no cameras; copy it again")
    return cameras


def _camera(entry: dict[str, str], path: Path) -> Calibration:
    name = entry["name"][:80]
    numbers = parse_floats([entry[column] for column in COLUMNS], (len(COLUMNS),), path, name)
    width, height, rotation, centre, (fx, fy, px, py) = *numbers[:2], numbers[2:5], numbers[5:8], numbers[8:]
    return Calibration.checked(
        name,
        path,
        intrinsics_px=pinhole(fx * width, fy * height, px * width, py * height),
        camera_from_world=inverted(np.column_stack([matrix_from_rotation_vector(rotation), centre])),
        size=(int(height), int(width)),
    )


def _count(folder: Path) -> int:
    """One more than the largest number in the names of a camera's pictures."""
    files = folder.iterdir() if folder.is_dir() else ()
    numbers = [int(match[1]) for file in files if (match := re.fullmatch(r".*_rgb([0-9]{6})\.jpg", file.name))]
    if not numbers:
        raise MissingFileError(folder, "has no pictures; copy them again")
    return max(numbers) + 1
