"""Find out what kind of capture a folder holds, and read it."""

from collections.abc import Collection
from pathlib import Path

from avatar.structs import Capture

from .body_parameters import DEFAULT_RIG, PoseFromLocalRef
from .errors import CaptureError, MissingFileError
from .pictures import PictureConfig
from .zju_mocap import read_zju_mocap


def read_capture(
    folder: Path,
    *,
    split: str | None = None,
    pose_from_local_ref: PoseFromLocalRef | None = None,
    rigs: Collection[str] = (DEFAULT_RIG,),
    pictures: PictureConfig | None = None,
) -> Capture:
    """The capture in ``folder``, whatever its format; so far that of ZJU-MoCap.

    Args:
        folder: the capture.
        split: a split whose pictures and masks are to be checked for existence now; otherwise a missing one is an error
            only when it is asked for.
        pose_from_local_ref: what turns poses of Anny's default rig into ours, ``AnnyBody.pose_from_local_ref``;
            other body parameter files need none.
        rigs: the skeletons that the caller has; ``body.npz`` is read when it is of one of them, else
            ``body_default.npz``.
        pictures: cropping, background and memory for pictures.

    Raises MissingFileError (a FileNotFoundError) or CaptureError (a ValueError) with one line that names the file.
    """
    if not folder.is_dir():
        raise MissingFileError(folder, "no such folder; give the folder of a capture")
    if (folder / "annots.npy").exists() or (folder / "cameras.json").exists():
        return read_zju_mocap(
            folder, pose_from_local_ref=pose_from_local_ref, rigs=rigs, pictures=pictures, split=split
        )
    raise CaptureError(
        folder, "is no capture that avatar reads; expected annots.npy or cameras.json of the ZJU-MoCap layout"
    )
