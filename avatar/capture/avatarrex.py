"""THuman4.0 and AvatarReX (the sets of AnimatableGaussians).

::

    calibration.json           THuman4.0; pictures in images/cam00/00000000.jpg, masks in masks/cam00/00000000.jpg
    calibration_full.json      AvatarReX; pictures in SERIAL/00000000.jpg, masks in SERIAL/mask/pha/00000000.jpg
    smpl_params.npz            SMPL-X neutral under smplx's keywords, hands absolute
    missing_img_files.txt      pictures that were lost, one path a line

A camera is ``{K (9 numbers), R (9), T (3), imgSize [w, h]}``, world to camera, metres, pixel centres at integers; no
reader of these sets undoes distortion. Masks are JPEG: the person is brighter than 128.
"""

from pathlib import Path, PurePosixPath

import numpy as np

from .calibration import Calibration
from .camera_files.conventions import corner_intrinsics
from .errors import CaptureError
from .files import read_bytes, read_json, read_npz, relative_path
from .picture_files import MaskRule
from .pictures import PictureFiles
from .recording import Recording
from .smplx_keywords import poses_from_keywords
from .splits import default_splits, without_missing
from .tables import field, floats, table

MASK_ABOVE = 128
RIG = "smplx_neutral"
THUMAN, AVATARREX = "calibration.json", "calibration_full.json"
# Where a camera's picture and mask of a time step are.
FILES = {
    THUMAN: ("images/{camera}/{frame:08d}.jpg", "masks/{camera}/{frame:08d}.jpg"),
    AVATARREX: ("{camera}/{frame:08d}.jpg", "{camera}/mask/pha/{frame:08d}.jpg"),
}


def is_avatarrex(folder: Path) -> bool:
    """Whether ``folder`` holds one of the two calibrations and the bodies."""
    return any((folder / name).exists() for name in FILES) and (folder / "smpl_params.npz").exists()


def record_avatarrex(folder: Path) -> Recording:
    """The capture in ``folder``. Time steps of which a camera of a split lost its picture are not in that split."""
    path = next(folder / name for name in (AVATARREX, THUMAN) if (folder / name).exists())
    cameras = read_json(path)
    names = [relative_path(name, path) for name in cameras]
    if not names:
        raise CaptureError(path, "has no cameras; copy it again")
    body = poses_from_keywords(read_npz(folder / "smpl_params.npz"), RIG, folder / "smpl_params.npz")
    num_frames = len(body.turns)
    image, mask = FILES[path.name]
    missing = _missing(folder, names)
    return Recording(
        name=folder.resolve().name,
        where=path,
        calibrations=[_camera(name, table(entry, path, name), path) for name, entry in cameras.items()],
        source=PictureFiles(
            root=folder,
            num_frames=num_frames,
            images=lambda frame, camera: [image.format(camera=names[camera], frame=frame)],
            masks=lambda frame, camera: [mask.format(camera=names[camera], frame=frame)],
            rule=MaskRule(above=MASK_ABOVE),
        ),
        num_frames=num_frames,
        body=body,
        splits=without_missing(default_splits(len(names), num_frames), missing),
    )


def _camera(name: str, entry: dict[str, object], path: Path) -> Calibration:
    rotation = floats(field(entry, "R", path, name), (3, 3), path, f"{name}: R")
    translation = floats(field(entry, "T", path, name), (3, 1), path, f"{name}: T")
    width, height = floats(field(entry, "imgSize", path, name), (2,), path, f"{name}: imgSize")
    return Calibration.checked(
        name,
        path,
        intrinsics_px=corner_intrinsics(floats(field(entry, "K", path, name), (3, 3), path, f"{name}: K")),
        camera_from_world=np.hstack([rotation, translation]),
        size=(int(height), int(width)),
    )


def _missing(folder: Path, cameras: list[str]) -> set[tuple[int, int]]:
    """The time steps and cameras of ``missing_img_files.txt``; lines about other things are passed over."""
    path = folder / "missing_img_files.txt"
    if not path.exists():
        return set()
    lost = set()
    for line in read_bytes(path).decode(errors="replace").splitlines():
        name = PurePosixPath(line.strip().replace("\\", "/"))
        if name.parent.name in cameras and name.stem.isascii() and name.stem.isdigit():
            lost.add((int(name.stem[-9:]), cameras.index(name.parent.name)))
    return lost
