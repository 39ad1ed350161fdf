"""Pictures of a calibrated rig with a body file of ours: COLMAP's cameras, or those of any calibration that we read.

::

    sparse/0/cameras.bin, images.bin   COLMAP's model of one picture of each camera; sparse/ and text as well;
                                       or transforms.json, Calib.toml, NAME.qca.txt, see ``camera_files``
    images/CAMERA/000000.jpg           .png as well
    mask/CAMERA/000000.png             not zero is the person
    body_default.npz                   see ``body_parameters``

A camera is called by the folder of the picture that was calibrated (``cam1/000000.jpg``), else by the picture
(``cam1.jpg``). The body says what the world is, so nothing is turned or scaled: the calibration must be in metres and
z-up like the body.
"""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from avatar.structs import Capture

from .body_parameters import PoseFromLocalRef, find_body, read_body
from .camera_files import read_calibrations
from .camera_files.colmap import find_colmap
from .errors import CaptureError
from .files import relative_path
from .pictures import PictureFiles
from .recording import ReadOptions, Recording, capture_of

SUFFIXES = (".jpg", ".png")
CALIBRATIONS = ("transforms.json", "Calib.toml", "camera_array.toml", "*.qca.txt")


def find_calibration(folder: Path) -> Path | None:
    """The calibration of a folder that has pictures beside it; None for any other folder."""
    if not (folder / "images").is_dir():
        return None
    if find_colmap(folder) is not None:
        return folder
    return next((path for pattern in CALIBRATIONS for path in sorted(folder.glob(pattern))), None)


def read_calibrated(
    folder: Path,
    calibration: Path,
    *,
    pose_from_local_ref: PoseFromLocalRef | None,
    rigs: Collection[str],
    options: ReadOptions,
) -> Capture:
    """The capture in ``folder`` by its ``calibration``; arguments are those of ``read_capture``."""
    calibrations = read_calibrations(calibration)
    names = [relative_path(camera_name(camera.name), calibration) for camera in calibrations]
    if len(set(names)) < len(names):
        raise CaptureError(calibration, "has two pictures of one camera; calibrate one of each")
    body = read_body(find_body(folder, rigs), pose_from_local_ref)
    num_frames = len(body.poses.local_quats)
    recording = Recording(
        name=folder.resolve().name,
        where=calibration,
        calibrations=calibrations,
        source=PictureFiles(
            root=folder,
            num_frames=num_frames,
            images=lambda frame, camera: [f"images/{names[camera]}/{frame:06d}{suffix}" for suffix in SUFFIXES],
            masks=lambda frame, camera: [f"mask/{names[camera]}/{frame:06d}.png"],
        ),
        num_frames=num_frames,
    )
    return capture_of(recording, body, options)


def camera_name(picture: str) -> str:
    """What a camera is called by whose calibrated picture is ``picture``."""
    path = PurePosixPath(picture.replace("\\", "/").removeprefix("images/"))
    if len(path.parts) > 1:
        return str(path.parent)
    return path.stem if path.suffix.lower() in (".jpg", ".jpeg", ".png") else picture
