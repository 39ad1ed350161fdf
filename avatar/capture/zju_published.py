"""ZJU-MoCap as it is published (Peng et al., "Neural Body", CVPR 2021), and sets that keep its layout.

::

    annots.npy                 cams, ims: see ``zju_mocap``
    Camera_B1/000000.jpg       the release; "Camera (1)/..." in 313 and 315
    images/00/000000.jpg       the refined set of InstantNVR
    mask/..., mask_cihp/...    mirror the pictures; schp/... as well in some copies
    new_params/0.npy           the body of time step 0 (poses, Rh, Th, shapes); params of the first fit; smpl_params of
                               the refined set; ``.npz`` in copies without pickles

Human3.6M as Animatable NeRF has it, and MonoCap, look the same. Pixel centres are at integers, translations of cameras
millimetres. The number of a body file is that of the picture: in 313 and 315 they start at 1, and copies differ in
whether pictures keep their long names. Bodies of ``params`` were fitted without SMPL's pose blend shapes, all others
with.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import CaptureError, MissingFileError
from .files import inside, read_npz
from .pictures import NamesOf, PictureFiles
from .recording import Recording
from .restricted_pickle import load_npy_dict
from .smpl_poses import SmplPoses
from .splits import splits_from_protocol
from .tables import field, floats
from .zju_mocap import mask_names, read_annots
from .zju_subjects import subject_of

LOG = logging.getLogger(__name__)
BODIES = ("new_params", "smpl_params", "params")
MASKS = ("mask_cihp", "mask", "schp")
ZJU_RIG = "smpl_neutral"
SHAPES = {"poses": (72,), "Rh": (3,), "Th": (3,), "shapes": (10,)}
LONG_NAME_NUMBER = 4


def is_published_zju(folder: Path) -> bool:
    """Whether ``folder`` holds a set in this layout, with bodies of its own rather than a body file of ours."""
    is_ours = any((folder / name).exists() for name in ("body.npz", "body_default.npz"))
    return not is_ours and (folder / "annots.npy").exists() and _body_folder(folder) is not None


def record_zju(folder: Path, *, masks: Sequence[str] = ()) -> Recording:
    """The set in ``folder``; ``masks`` are the folders of the masks to join, by default the first of ``MASKS``.

    Time steps at the end that have no body are left out, with a warning. Raises MissingFileError or CaptureError.
    """
    annots_path = folder / "annots.npy"
    calibrations, names = read_annots(annots_path)
    bodies = _body_folder(folder)
    if bodies is None:
        raise MissingFileError(folder / BODIES[0], f"no such folder, nor {' nor '.join(BODIES[1:])}; restore it")
    body, num_frames = _read_bodies(folder, bodies, [_number(row[0], annots_path) for row in names])
    first_masks, *more_masks = masks or [next((name for name in MASKS if (folder / name).is_dir()), MASKS[0])]

    def masks_in(mask_folder: str) -> NamesOf:
        return lambda frame, camera: mask_names(_picture_names(names[frame][camera]), mask_folder)

    subject = subject_of(folder.name)
    if subject is not None and (len(names), len(calibrations)) != (subject.frames, subject.cameras):
        found = f"{len(names)} time steps of {len(calibrations)} cameras"
        LOG.warning(
            "%s: %s was published with %d of %d, this has %s",
            annots_path,
            folder.name,
            subject.frames,
            subject.cameras,
            found,
        )
    return Recording(
        name=folder.resolve().name,
        where=annots_path,
        calibrations=[calibration.from_origin("centre") for calibration in calibrations],
        source=PictureFiles(
            root=folder,
            num_frames=num_frames,
            images=lambda frame, camera: _picture_names(names[frame][camera]),
            masks=masks_in(first_masks),
            more_masks=tuple(map(masks_in, more_masks)),
        ),
        num_frames=num_frames,
        body=body,
        splits=splits_from_protocol(subject, len(calibrations), num_frames),
    )


def _body_folder(folder: Path) -> str | None:
    return next((name for name in BODIES if (folder / name).is_dir()), None)


def _number(picture: str, path: Path) -> int:
    """The number in a picture's name: the fifth word of the long names of 313 and 315, else the whole of it."""
    stem = picture.rpartition("/")[2].rpartition(".")[0]
    words = stem.split("_")
    word = words[LONG_NAME_NUMBER] if len(words) > LONG_NAME_NUMBER else words[-1]
    if not re.fullmatch(r"[0-9]{1,9}", word):
        raise CaptureError(path, f"ims: expected a picture called by a number, got {picture[-60:]!r}")
    return int(word)


def _picture_names(picture: str) -> Sequence[str]:
    """The picture, and where copies with short names have it."""
    folder, _, file = picture.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    words = stem.split("_")
    short = f"{folder}/{words[LONG_NAME_NUMBER]}.{suffix}" if len(words) > LONG_NAME_NUMBER else picture
    return (picture,) if short == picture else (picture, short)


def _read_bodies(root: Path, folder: str, numbers: Sequence[int]) -> tuple[SmplPoses, int]:
    """The poses of the time steps, and how many of them there are."""
    rows: dict[str, list[np.ndarray]] = {key: [] for key in SHAPES}
    for count, number in enumerate(numbers):
        values = _read_body(root, f"{folder}/{number}")
        if values is None:
            if count == 0 or any(_read_body(root, f"{folder}/{later}") for later in numbers[count + 1 :]):
                raise MissingFileError(root / folder / f"{number}.npy", "no such file; restore it")
            LOG.warning("%s: no bodies from %s on; those time steps are left out", root / folder, number)
            break
        for key, row in rows.items():
            row.append(values[key])
    arrays = {key: np.stack(row) for key, row in rows.items()}
    turns = np.concatenate([arrays["Rh"], arrays["poses"][:, 3:]], axis=1)
    body = SmplPoses.checked(
        root / folder,
        rig=ZJU_RIG,
        betas=arrays["shapes"],
        turns=turns,
        offsets=arrays["Th"],
        placement="about_origin",
    )
    return body, len(turns)


def _read_body(root: Path, name: str) -> dict[str, np.ndarray] | None:
    """The body of one time step, or None where there is none."""
    path = inside(root, name + ".npy")
    if path.exists():
        values: dict[str, object] = load_npy_dict(path)
    else:
        path = inside(root, name + ".npz")
        if not path.exists():
            return None
        values = dict(read_npz(path))
    body = {key: floats(field(values, key, path, "the body"), shape, path, key) for key, shape in SHAPES.items()}
    if np.abs(body["poses"][:3]).max() > 1e-6:
        raise CaptureError(path, "poses: expected zeros for the root, which Rh turns; give smplx poses another home")
    return body
