"""NeuMan (Jiang et al., ECCV 2022): one camera that moves around a person.

::

    images/00000.png
    sparse/{cameras,images}.txt       COLMAP's model of all pictures
    segmentations/00000.png           inverted: 255 is the background
    smpl_output_optimized.npz         pose (F, 72), betas (F, 10), trans (F, 3); see below
    alignments.npy                    by picture a (4, 3) matrix: transposed, from SMPL's world to the scene
    train_split.txt, test_split.txt   pictures, one a line

The set has the bodies as joblib pickles, which can run code and are not read. A capture of ours has cameras that stand
still, so the camera is the world here and the body moves before it; the scene's scale is divided out, so the body has
its own size.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from avatar.structs import Split

from .calibration import Calibration
from .camera_files import read_colmap
from .errors import CaptureError, MissingFileError
from .files import read_bytes, read_npz, relative_path
from .picture_files import MaskRule
from .pictures import PictureFiles
from .recording import Recording
from .restricted_pickle import load_npy_dict
from .smpl_poses import SmplPoses
from .tables import field, floats, numbers

RIG = "smpl_neutral"
BODIES = ("smpl_output_optimized", "smpl_output_romp")
CONVERT = (
    'convert it once, if you trust it: python -c "import joblib, numpy; '
    "numpy.savez('{name}.npz', **next(iter(joblib.load('{name}.pkl').values())))\""
)
SPLITS = {"train_dense": "train_split.txt", "validation": "val_split.txt", "test_novel_view": "test_split.txt"}


def is_neuman(folder: Path) -> bool:
    """Whether ``folder`` holds COLMAP's model, the masks and the alignments."""
    return all((folder / name).exists() for name in ("sparse", "segmentations", "alignments.npy"))


def record_neuman(folder: Path) -> Recording:
    """The scene in ``folder``; time steps are the pictures of COLMAP's model, in order of their names."""
    views = read_colmap(folder)
    if not views:
        raise MissingFileError(folder / "sparse", "has no pictures; copy the model again")
    names = [PurePosixPath(relative_path(view.name, folder / "sparse")).name for view in views]
    first = views[0]
    if any(not np.array_equal(view.intrinsics_px, first.intrinsics_px) or view.size != first.size for view in views):
        raise CaptureError(folder / "sparse", "has several cameras; expected one that moves")
    camera = Calibration(
        name="camera",
        intrinsics_px=first.intrinsics_px,
        camera_from_world=np.eye(4),
        distortion=first.distortion,
        size=first.size,
        is_fisheye=first.is_fisheye,
    )
    return Recording(
        name=folder.resolve().name,
        where=folder / "sparse",
        calibrations=[camera],
        source=PictureFiles(
            root=folder,
            num_frames=len(names),
            images=lambda frame, _: [f"images/{names[frame]}"],
            masks=lambda frame, _: [f"segmentations/{PurePosixPath(names[frame]).stem}.png"],
            rule=MaskRule(above=127, is_inverted=True),
        ),
        num_frames=len(names),
        body=_read_body(folder, names, [view.camera_from_world for view in views]),
        splits=_splits(folder, names),
    )


def _read_body(folder: Path, names: Sequence[str], views: Sequence[Float[np.ndarray, "4 4"]]) -> SmplPoses:
    """The bodies before the camera; they are listed by the numbers that the pictures are called by."""
    path = next((folder / f"{name}.npz" for name in BODIES if (folder / f"{name}.npz").exists()), None)
    if path is None:
        name = next((name for name in BODIES if (folder / f"{name}.pkl").exists()), BODIES[0])
        raise MissingFileError(
            folder / f"{name}.npz", f"no such file, and a joblib pickle is not read; {CONVERT.format(name=name)}"
        )
    values = read_npz(path)
    turns = numbers(values, "pose", (None, 72), path)
    betas, places = numbers(values, "betas", (len(turns), 10), path), numbers(values, "trans", (len(turns), 3), path)
    rows = []
    for name in names:
        stem = PurePosixPath(name).stem
        if not (stem.isascii() and stem.isdigit() and int(stem[-9:]) < len(turns)):
            raise CaptureError(path, f"has {len(turns)} bodies, none of the picture {name[:60]!r}")
        rows.append(int(stem[-9:]))
    return SmplPoses.checked(
        path,
        rig=RIG,
        betas=betas[rows],
        turns=turns[rows],
        offsets=places[rows],
        placement="about_pelvis",
        moves=np.stack([_rigid(view, scene) for view, scene in zip(views, _alignments(folder, names), strict=True)]),
    )


def _alignments(folder: Path, names: Sequence[str]) -> list[Float[np.ndarray, "4 4"]]:
    """For each picture the similarity from SMPL's world to the scene."""
    path = folder / "alignments.npy"
    values, found = load_npy_dict(path), []
    for name in names:
        matrix = np.eye(4)
        matrix[:3] = floats(field(values, name, path, "the table"), (4, 3), path, name).T
        scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
        if not 1e-4 < scale < 1e4 or np.abs(matrix[:3, :3] @ matrix[:3, :3].T / scale**2 - np.eye(3)).max() > 1e-3:
            raise CaptureError(path, f"{name}: expected a rotation times a scale; copy it again")
        found.append(matrix)
    return found


def _rigid(camera_from_scene: Float[np.ndarray, "4 4"], scene: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """From SMPL's world to the camera's, in the size of the former."""
    move = camera_from_scene @ scene
    move[:3] /= np.cbrt(np.linalg.det(scene[:3, :3]))
    return move


def _splits(folder: Path, names: Sequence[str]) -> dict[str, Split]:
    splits = {}
    for key, file in SPLITS.items():
        if (folder / file).exists():
            listed = set(read_bytes(folder / file).decode(errors="replace").split())
            steps = tuple(index for index, name in enumerate(names) if name in listed)
            if steps:
                splits[key] = Split(name=key, frame_ids=steps, camera_ids=(0,))
    return splits
