"""PeopleSnapshot (Alldieck et al., CVPR 2018): one camera, one person who turns around.

::

    female-3-casual/
      female-3-casual.mp4       the video
      camera.pkl                camera_f, camera_c, camera_k, camera_t, camera_rt, width, height
      masks.hdf5                masks (F, H, W), 0 or 1
      reconstructed_poses.hdf5  pose (F', 72), trans (F', 3), betas (10): SMPL of the person's gender, as smplx has it

The camera is the world, y down. There may be more poses than masks: the last ones belong to them.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from avatar.restricted_pickle import unpickle
from avatar.structs import Split

from .calibration import Calibration
from .camera_files.conventions import corner_intrinsics, matrix_from_rotation_vector, pinhole
from .errors import CaptureError
from .files import read_bytes
from .hdf5 import Hdf5File
from .picture_files import MaskRule
from .recording import Recording
from .smpl_poses import SmplPoses
from .tables import field, floats, integer, table
from .video_files import VideoFiles, VideoNames

MAX_PICKLE_BYTES = 2**16
# By subject: the frames that InstantAvatar trains on and tests, first, last and step.
SPLITS = {
    "female-3-casual": ((0, 445, 4), (446, 647, 4)),
    "female-4-casual": ((0, 335, 4), (335, 523, 4)),
    "male-3-casual": ((0, 455, 4), (456, 675, 4)),
    "male-4-casual": ((0, 659, 6), (660, 872, 6)),
}


class SnapshotPictures:
    """Pictures in a video, masks in an HDF5 file."""

    def __init__(self, folder: Path, video: str, masks: Hdf5File) -> None:
        self._video = VideoFiles(folder, VideoNames(images=[[video]], masks=[[video]]), MaskRule())
        self._masks = masks

    def image(self, frame_id: int, camera_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        """The pixels, sRGB, and the file that holds them."""
        return self._video.image(frame_id, camera_id)

    def mask(self, frame_id: int, camera_id: int) -> tuple[Path, Bool[np.ndarray, "h w"]]:
        """Where the person is, and the file that says it."""
        del camera_id
        return self._masks.path, self._masks.array("masks", frame_id) != 0

    def size(self, camera_id: int) -> tuple[int, int] | None:
        """Height and width of the video; None without one."""
        return self._video.size(camera_id)

    def check(self, split: Split) -> None:
        """MissingFileError when the video is not there."""
        self._video.check(split)


def is_people_snapshot(folder: Path) -> bool:
    """Whether ``folder`` holds the camera, the masks and the poses."""
    return all((folder / name).exists() for name in ("camera.pkl", "masks.hdf5", "reconstructed_poses.hdf5"))


def record_people_snapshot(folder: Path) -> Recording:
    """The capture in ``folder``. Raises MissingFileError or CaptureError, and ImportError without the extra."""
    masks = Hdf5File(folder / "masks.hdf5")
    shape = masks.shape("masks")
    if len(shape) != 3 or not shape[0]:
        raise CaptureError(masks.path, f"masks: expected frames of rows of pixels, got shape {shape}")
    name = folder.resolve().name
    return Recording(
        name=name,
        where=folder / "camera.pkl",
        calibrations=[_camera(folder / "camera.pkl")],
        source=SnapshotPictures(folder, f"{name}.mp4", masks),
        num_frames=shape[0],
        body=_read_body(folder / "reconstructed_poses.hdf5", name, shape[0]),
        splits=_splits(name, shape[0]),
    )


def _camera(path: Path) -> Calibration:
    try:
        values = table(unpickle(read_bytes(path, MAX_PICKLE_BYTES)), path, "the camera")
    except CaptureError:
        raise
    except ValueError as error:
        raise CaptureError(path, f"is no pickled table of numbers ({error}); copy it again") from error

    def numbers(key: str, count: int) -> np.ndarray:
        return floats(field(values, key, path, "the camera"), (count,), path, key)

    height, width = (
        integer(field(values, key, path, "the camera"), path, key, 1, 65535) for key in ("height", "width")
    )
    rotation = matrix_from_rotation_vector(numbers("camera_rt", 3))
    return Calibration.checked(
        "camera",
        path,
        intrinsics_px=corner_intrinsics(pinhole(*numbers("camera_f", 2), *numbers("camera_c", 2))),
        camera_from_world=np.column_stack([rotation, numbers("camera_t", 3)]),
        distortion=numbers("camera_k", 5),
        size=(height, width),
    )


def _read_body(path: Path, name: str, frames: int) -> SmplPoses:
    """The poses of the last ``frames`` rows; the gender is the first word of the subject's name."""
    file = Hdf5File(path)
    gender = next((word for word in re.findall("[a-z]+", name.lower()) if word in ("female", "male")), "neutral")
    turns, offsets = file.array("pose"), file.array("trans")
    if turns.ndim != 2 or offsets.shape != (len(turns), 3) or len(turns) < frames:
        raise CaptureError(
            path, f"expected poses and places for at least {frames} masks, got {turns.shape} and {offsets.shape}"
        )
    return SmplPoses.checked(
        path,
        rig=f"smpl_{gender}",
        betas=floats(file.array("betas"), (10,), path, "betas"),
        turns=turns[-frames:],
        offsets=offsets[-frames:],
        placement="about_pelvis",
    )


def _splits(name: str, frames: int) -> dict[str, Split]:
    """InstantAvatar's frames of the subjects that it reports; of others the first three quarters to train on."""
    train, test = SPLITS.get(name, ((0, frames * 3 // 4 - 1, 1), (frames * 3 // 4, frames - 1, 1)))
    ids = {"train_dense": train, "test_novel_pose": test}
    kept = {key: tuple(range(first, min(last, frames - 1) + 1, step)) for key, (first, last, step) in ids.items()}
    return {key: Split(name=key, frame_ids=steps, camera_ids=(0,)) for key, steps in kept.items() if steps}
