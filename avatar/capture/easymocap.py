"""EasyMocap's folder (and EasyVolcap's, which is a relative).

::

    intri.yml, extri.yml       see ``camera_files``
    images/01/000000.jpg       a folder a camera, called as in the calibration
    mask/01/000000.png         not zero is the person; masks/... in EasyVolcap
    smpl/000000.json           bodies, also below output-smpl-3d/ or output/, also called smplfull

A body file lists people: ``id, Rh, Th, poses, shapes``. Which model it is shows in the number of poses: 72, or 69
without a root, is SMPL; 78 SMPL-H and 87 SMPL-X, both with six principal components a hand, SMPL-X with jaw and eyes
last; 156 and 165 are rotation vectors of every joint in the order of the model, the face before the hands. The numbers
have three decimals: one millimetre.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .camera_files import read_easymocap
from .errors import CaptureError, MissingFileError
from .files import inside, read_json_value
from .pictures import PictureFiles
from .recording import Recording
from .smpl_poses import SmplPoses
from .tables import field, floats, sequence, table

LOG = logging.getLogger(__name__)
BODIES = tuple(f"{parent}{name}" for parent in ("", "output-smpl-3d/", "output/") for name in ("smplfull", "smpl"))
MASKS = ("mask", "masks")
SUFFIXES = (".jpg", ".png")
# The number of values in ``poses``, to the model and how many components a hand has; zero where every joint is given.
MODELS = {72: ("smpl", 0), 69: ("smpl", 0), 78: ("smplh", 6), 87: ("smplx", 6), 156: ("smplh", 0), 165: ("smplx", 0)}
ROOT, BODY, FACE = 3, 63, 9
MAX_PEOPLE = 1000


def is_easymocap(folder: Path) -> bool:
    """Whether ``folder`` holds EasyMocap's calibration and pictures."""
    return all((folder / name).exists() for name in ("intri.yml", "extri.yml", "images"))


def record_easymocap(folder: Path) -> Recording:
    """The capture in ``folder``. Time steps are those that have a body, or all pictures where there are no bodies.

    Where there are several people it is the one that the most time steps have, and those without are left out. Raises
    MissingFileError or CaptureError.
    """
    calibrations = read_easymocap(folder)
    if not calibrations:
        raise CaptureError(folder / "intri.yml", "has no cameras; calibrate again")
    names = [calibration.name for calibration in calibrations]
    bodies = next((folder / name for name in BODIES if (folder / name).is_dir()), None)
    stems, body = _numbered(folder / "images" / names[0], SUFFIXES), None
    if bodies is not None:
        stems, body = read_bodies([inside(folder, str(path.relative_to(folder))) for path in _json_files(bodies)])
    if not stems:
        raise MissingFileError(folder / "images" / names[0], "has no numbered pictures; extract the videos there")
    return Recording(
        name=folder.resolve().name,
        where=folder / "intri.yml",
        calibrations=calibrations,
        source=PictureFiles(
            root=folder,
            num_frames=len(stems),
            images=lambda frame, camera: [f"images/{names[camera]}/{stems[frame]}{suffix}" for suffix in SUFFIXES],
            masks=lambda frame, camera: [f"{mask}/{names[camera]}/{stems[frame]}.png" for mask in MASKS],
        ),
        num_frames=len(stems),
        body=body,
    )


def _json_files(folder: Path) -> list[Path]:
    return [folder / f"{stem}.json" for stem in _numbered(folder, (".json",))]


def _numbered(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """The stems of a folder's files that are numbers, in order."""
    if not folder.is_dir():
        return []
    stems = {path.stem for path in folder.iterdir() if path.suffix in suffixes}
    return sorted((stem for stem in stems if re.fullmatch(r"[0-9]{1,12}", stem)), key=int)


def read_bodies(paths: Sequence[Path], gender: str = "neutral") -> tuple[list[str], SmplPoses]:
    """The person that most of EasyMocap's body files have: the stems of those files, and its poses."""
    people = [_people(path) for path in paths]
    counts = Counter(person for listed in people for person in listed)
    if not counts:
        where = paths[0].parent if paths else Path("smpl")
        raise MissingFileError(where, "has no bodies; fit them, or remove the folder to read the pictures alone")
    chosen = counts.most_common(1)[0][0]
    kept = [(path, listed[chosen]) for path, listed in zip(paths, people, strict=True) if chosen in listed]
    if len(kept) < len(paths):
        LOG.warning(
            "%s: %d of %d files lack person %d; left out", paths[0].parent, len(paths) - len(kept), len(paths), chosen
        )
    values = [_body(entry, path) for path, entry in kept]
    model, _ = MODELS[values[0]["poses"].size]
    if any(value["poses"].size != values[0]["poses"].size for value in values):
        raise CaptureError(kept[0][0].parent, "has bodies of several models; fit them anew with one")
    body = SmplPoses.checked(
        kept[0][0].parent,
        rig=f"{model}_{gender}",
        betas=np.stack([value["shapes"] for value in values]),
        turns=np.stack([np.concatenate([value["Rh"], _turns(value["poses"])]) for value in values]),
        offsets=np.stack([value["Th"] for value in values]),
        placement="about_origin",
        hands=_hands(np.stack([value["poses"] for value in values])),
    )
    return [path.stem for path, _ in kept], body


def _people(path: Path) -> dict[int, dict[str, object]]:
    """The people of one time step, by their numbers."""
    value = read_json_value(path)
    listed = field(value, "annots", path, "the file") if isinstance(value, dict) else value
    entries = [table(entry, path, "a person") for entry in sequence(listed, path, "people")]
    if len(entries) > MAX_PEOPLE:
        raise CaptureError(path, f"lists {len(entries)} people; at most {MAX_PEOPLE} are read")
    return {int(floats(entry.get("id", index), (), path, "id")): entry for index, entry in enumerate(entries)}


def _body(entry: dict[str, object], path: Path) -> dict[str, np.ndarray]:
    listed = sequence(field(entry, "poses", path, "a person"), path, "poses")
    row = sequence(listed[0], path, "poses") if len(listed) == 1 else listed
    if len(row) not in MODELS:
        raise CaptureError(path, f"poses: expected one of {', '.join(map(str, MODELS))} numbers, got {len(row)}")
    shapes = {"poses": (len(row),), "Rh": (3,), "Th": (3,), "shapes": (10,)}
    return {key: floats(field(entry, key, path, "a person"), shape, path, key) for key, shape in shapes.items()}


def _turns(poses: Float[np.ndarray, " p"]) -> Float[np.ndarray, " d"]:
    """Rotation vectors of all joints but the root, in the model's order; hands of components are left straight."""
    model, components = MODELS[poses.size]
    if components == 0:
        return poses if poses.size == 69 else poses[ROOT:]
    face = poses[-FACE:] if model == "smplx" else poses[:0]
    return np.concatenate([poses[ROOT : ROOT + BODY], face, np.zeros(90)])


def _hands(poses: Float[np.ndarray, "f p"]) -> Float[np.ndarray, "f 2 c"] | None:
    """The principal components of both hands, where they are given by components."""
    _, components = MODELS[poses.shape[1]]
    if components == 0:
        return None
    return poses[:, ROOT + BODY : ROOT + BODY + 2 * components].reshape(len(poses), 2, components)
