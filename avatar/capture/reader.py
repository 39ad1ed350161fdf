"""Find out what kind of capture a folder holds, and read it."""

from pathlib import Path

from avatar.structs import Capture

from .body_parameters import PoseFromLocalRef
from .errors import CaptureError, MissingFileError
from .pictures import PictureConfig
from .zju_mocap import read_zju_mocap


def read_capture(
    folder: Path,
    *,
    split: str | None = None,
    pose_from_local_ref: PoseFromLocalRef | None = None,
    body_file: str = "body_default.npz",
    pictures: PictureConfig | None = None,
) -> Capture:
    """The capture in ``folder``, whatever its format; so far that of ZJU-MoCap.

    Args:
        folder: the capture.
        split: a split whose pictures and masks are to be checked for existence now; otherwise a missing one is an error
            only when it is asked for.
        pose_from_local_ref: what turns Anny's poses into ours, ``AnnyBody.pose_from_local_ref``; captures with poses of
            our own form need none.
        body_file: the body parameter file in the folder.
        pictures: cropping, background and memory for pictures.

    Raises MissingFileError (a FileNotFoundError) or CaptureError (a ValueError) with one line that names the file.
    """
    if not folder.is_dir():
        raise MissingFileError(folder, "no such folder; give the folder of a capture")
    if (folder / "annots.npy").exists() or (folder / "cameras.json").exists():
        return read_zju_mocap(
            folder, body_file=body_file, pose_from_local_ref=pose_from_local_ref, pictures=pictures, split=split
        )
    raise CaptureError(
        folder, "is no capture that avatar reads; expected annots.npy or cameras.json of the ZJU-MoCap layout"
    )
