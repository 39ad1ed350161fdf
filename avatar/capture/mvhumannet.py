"""MVHumanNet: one outfit of one person before 48 cameras.

::

    camera_intrinsics.json          {intrinsics 3x3, dist}, shared, for the full size; pictures were published at half
    camera_extrinsics.json          "1_CC32871A004.png": {rotation 3x3, translation}, world to camera
    camera_scale.pkl                a number: translation / 1000 times this is metres
    images/CC32871A004/0005_img.jpg
    fmask/CC32871A004/0005_img_fmask.png
    smplx/smpl/000000.json          EasyMocap's bodies, SMPL-X; see ``easymocap``

Bodies are in order of the pictures, whose names need not count from 0 or one by one. ``smpl_param/*.pkl`` holds torch
tensors in pickles and is not read. The world points down.
"""

import re
from pathlib import Path

import numpy as np

from avatar.restricted_pickle import unpickle

from .calibration import Calibration
from .camera_files.conventions import corner_intrinsics
from .easymocap import read_bodies
from .errors import CaptureError, MissingFileError
from .files import inside, read_bytes, read_json, relative_path
from .picture_files import picture_size
from .pictures import PictureFiles
from .recording import Recording
from .tables import field, floats, sequence, table

MILLIMETRE = 1e-3
MAX_PICKLE_BYTES = 4096
SUFFIX = "_img.jpg"
MASKS = ("_fmask.png", "_img_fmask.png", "_img.png")
BODIES = "smplx/smpl"
SHRINKING = 2  # published pictures against calibrated ones


def is_mvhumannet(folder: Path) -> bool:
    """Whether ``folder`` holds both tables of cameras."""
    return all((folder / f"camera_{kind}.json").exists() for kind in ("intrinsics", "extrinsics"))


def record_mvhumannet(folder: Path) -> Recording:
    """The capture in ``folder``; cameras whose pictures were not copied are left out."""
    path = folder / "camera_extrinsics.json"
    scale = _scale(folder / "camera_scale.pkl") * MILLIMETRE
    entries = {key.rpartition("_")[2].rpartition(".")[0]: (key, entry) for key, entry in read_json(path).items()}
    names = [name for name in entries if name and (inside(folder, f"images/{relative_path(name, path)}")).is_dir()]
    if not names:
        raise MissingFileError(folder / "images", "has no folder of a camera that is calibrated; copy the pictures")
    stems = _stems(folder / "images" / names[0])
    size = picture_size(inside(folder, f"images/{names[0]}/{stems[0]}{SUFFIX}"))
    intrinsics, distortion = _lens(folder / "camera_intrinsics.json", size)
    calibrations = [
        Calibration.checked(
            name,
            path,
            intrinsics_px=intrinsics,
            camera_from_world=_camera_from_world(*entries[name], scale, path),
            distortion=distortion,
            size=size,
        )
        for name in names
    ]
    body = None
    if (folder / BODIES).is_dir():
        files = sorted((folder / BODIES).glob("[0-9]*.json"), key=lambda file: (len(file.stem), file.stem))
        kept, body = read_bodies([inside(folder, f"{BODIES}/{file.name}") for file in files])
        if len(kept) != len(stems):
            raise CaptureError(folder / BODIES, f"has {len(kept)} bodies for {len(stems)} pictures of a camera")
    return Recording(
        name=folder.resolve().name,
        where=path,
        calibrations=calibrations,
        source=PictureFiles(
            root=folder,
            num_frames=len(stems),
            images=lambda frame, camera: [f"images/{names[camera]}/{stems[frame]}{SUFFIX}"],
            masks=lambda frame, camera: [f"fmask/{names[camera]}/{stems[frame]}{suffix}" for suffix in MASKS],
        ),
        num_frames=len(stems),
        body=body,
    )


def _stems(folder: Path) -> list[str]:
    """What comes before the suffix of a camera's pictures, in order of their numbers."""
    found = {file.name.removesuffix(SUFFIX) for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    stems = sorted((stem for stem in found if re.fullmatch(r"[0-9]{1,9}", stem)), key=int)
    if not stems:
        raise MissingFileError(folder, f"has no pictures called NUMBER{SUFFIX}; copy them again")
    return stems


def _scale(path: Path) -> float:
    try:
        value = unpickle(read_bytes(path, MAX_PICKLE_BYTES))
    except CaptureError:
        raise
    except ValueError as error:
        raise CaptureError(path, f"is no pickled number ({error}); copy it again") from error
    scale = float(floats(value, (), path, "scale"))
    if not 1e-3 < scale < 1e3:
        raise CaptureError(path, f"expected a scale of about 1, got {scale:g}; copy it again")
    return scale


def _lens(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics, pixel centres at .5, and distortion for pictures of half the calibrated size."""
    values = read_json(path)
    intrinsics = corner_intrinsics(floats(field(values, "intrinsics", path, "the file"), (3, 3), path, "intrinsics"))
    distortion = sequence(values.get("dist", []), path, "dist")
    while len(distortion) == 1 and isinstance(distortion[0], list):
        distortion = distortion[0]
    # The principal point lies near the middle: it tells pictures of the calibrated size from those of half of it.
    is_half = float(intrinsics[0, 2]) > 0.75 * size[1]
    if is_half:
        intrinsics[:2] /= SHRINKING
    if not 0.25 * size[1] < intrinsics[0, 2] < 0.75 * size[1]:
        raise CaptureError(path, f"fits neither pictures of {size[1]} x {size[0]} nor of twice that; copy them again")
    return intrinsics, floats(distortion, (len(distortion),), path, "dist")


def _camera_from_world(key: str, entry: object, scale: float, path: Path) -> np.ndarray:
    values = table(entry, path, key)
    rotation = floats(field(values, "rotation", path, key), (3, 3), path, f"{key}: rotation")
    translation = floats(field(values, "translation", path, key), (3, 1), path, f"{key}: translation")
    return np.hstack([rotation, scale * translation])
