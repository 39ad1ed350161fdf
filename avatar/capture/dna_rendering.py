"""DNA-Rendering: two HDF5 files a sequence, ``NAME.smc`` with the pictures and ``NAME_annots.smc``.

::

    NAME.smc           Camera_5mp/0/color/0, Camera_12mp/48/color/0: encoded pictures; attribute gender
    NAME_annots.smc    Camera_Parameter/00/{K, D, RT}: RT leads from the camera to the world, metres
                       Mask/0/mask/0: encoded; the person is where any colour is not zero
                       SMPLx/{betas, fullpose (F, 55, 3), transl, scale}: hands count from the model's mean pose

Numbers of cameras have two digits among the cameras' parameters and as many as they need elsewhere.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from avatar.structs import Split

from .calibration import Calibration
from .camera_files.conventions import corner_intrinsics, inverted
from .errors import CaptureError, MissingFileError
from .hdf5 import Hdf5File
from .picture_files import decode_image, decode_mask, encoded_size
from .recording import Recording
from .smpl_poses import SmplPoses
from .smplx_keywords import read_betas
from .tables import floats

FRAME_RATE_HZ = 15.0
GROUPS = ("Camera_5mp", "Camera_12mp")
JOINTS, HANDS = 55, 25
ANNOTATIONS = "_annots.smc"


class SmcPictures:
    """Encoded pictures and masks of one sequence."""

    def __init__(self, main: Hdf5File, annots: Hdf5File, cameras: list[tuple[str, int]]) -> None:
        """``cameras`` are the groups and numbers of the cameras."""
        self._main, self._annots, self._cameras = main, annots, cameras

    def image(self, frame_id: int, camera_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        """The pixels, sRGB, and the file that holds them."""
        name = self._image_name(frame_id, camera_id)
        return self._main.path, decode_image(_bytes(self._main, name), f"{self._main.path}[{name}]")

    def mask(self, frame_id: int, camera_id: int) -> tuple[Path, Bool[np.ndarray, "h w"]]:
        """Where the person is, and the file that says it."""
        name = f"Mask/{self._cameras[camera_id][1]}/mask/{frame_id}"
        return self._annots.path, decode_mask(_bytes(self._annots, name), f"{self._annots.path}[{name}]")

    def size(self, camera_id: int) -> tuple[int, int] | None:
        """Height and width of a camera's first picture; None when it has none."""
        name = self._image_name(0, camera_id)
        if not self._main.has(name):
            return None
        return encoded_size(_bytes(self._main, name), f"{self._main.path}[{name}]")

    def check(self, split: Split) -> None:
        """MissingFileError for the first picture of ``split`` that is not there."""
        for frame_id, camera_id in split.pairs():
            if not self._main.has(name := self._image_name(frame_id, camera_id)):
                raise MissingFileError(self._main.path, f"has no picture {name}; copy it again")

    def _image_name(self, frame_id: int, camera_id: int) -> str:
        group, number = self._cameras[camera_id]
        return f"{group}/{number}/color/{frame_id}"


def is_dna_rendering(folder: Path) -> bool:
    """Whether ``folder`` holds annotations of a sequence."""
    return any(folder.glob(f"*{ANNOTATIONS}"))


def record_dna_rendering(folder: Path) -> Recording:
    """The first sequence in ``folder``. Raises MissingFileError or CaptureError, and ImportError without the extra."""
    annots_path = min(folder.glob(f"*{ANNOTATIONS}"))
    name = annots_path.name.removesuffix(ANNOTATIONS)
    main, annots = Hdf5File(folder / f"{name}.smc"), Hdf5File(annots_path)
    cameras = [
        (group, int(number))
        for group in GROUPS
        if main.has(group)
        for number in sorted(main.names(group), key=lambda text: (len(text), text))
        if number.isascii() and number.isdigit() and annots.has(f"Camera_Parameter/{int(number):02d}")
    ]
    if not cameras:
        raise CaptureError(main.path, f"has no camera that {annots_path.name} has parameters of; copy both again")
    body, scale = _read_body(annots, main.attribute("gender"))
    return Recording(
        name=name,
        where=annots_path,
        calibrations=[_camera(annots, number).scaled_world(1.0 / scale) for _, number in cameras],
        source=SmcPictures(main, annots, cameras),
        num_frames=len(body.turns),
        body=body,
        frame_rate_hz=FRAME_RATE_HZ,
    )


def _camera(annots: Hdf5File, number: int) -> Calibration:
    place = f"Camera_Parameter/{number:02d}"

    def numbers(key: str, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        return floats(annots.array(f"{place}/{key}"), shape, annots.path, f"{place}/{key}")

    return Calibration.checked(
        str(number),
        annots.path,
        intrinsics_px=corner_intrinsics(numbers("K", (3, 3))),
        camera_from_world=inverted(numbers("RT", (4, 4))),
        distortion=numbers("D", (5,)),
    )


def _read_body(annots: Hdf5File, gender: object) -> tuple[SmplPoses, float]:
    """The poses in a world where the body has its own size, and how much larger the set's world is."""
    turns, offsets = annots.array("SMPLx/fullpose"), annots.array("SMPLx/transl")
    if turns.size != len(turns) * JOINTS * 3 or offsets.shape != (len(turns), 3) or not len(turns):
        raise CaptureError(annots.path, f"SMPLx: expected 55 joints a frame, got {turns.shape}, {offsets.shape}")
    turns = turns.reshape(len(turns), JOINTS, 3)
    scale = float(floats(annots.array("SMPLx/scale"), (), annots.path, "SMPLx/scale"))
    if not 0.1 < scale < 10.0:
        raise CaptureError(annots.path, f"SMPLx/scale: expected about 1, got {scale:g}; copy it again")
    word = gender.decode(errors="replace") if isinstance(gender, bytes) else str(gender)
    body = SmplPoses.checked(
        annots.path,
        rig=f"smplx_{word.lower()}" if word.lower() in ("male", "female") else "smplx_neutral",
        betas=read_betas({"betas": annots.array("SMPLx/betas")}, len(turns), annots.path),
        turns=turns,
        offsets=offsets / scale,
        placement="about_pelvis",
        hands=turns[:, HANDS:].reshape(len(turns), 2, -1),
    )
    return body, scale


def _bytes(file: Hdf5File, name: str) -> bytes:
    values = file.array(name)
    if values.dtype != np.uint8 or values.ndim != 1:
        raise CaptureError(file.path, f"{name}: expected an encoded picture, got {values.dtype} of {values.shape}")
    return values.tobytes()
