"""Find out what kind of capture a folder holds, and read it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from avatar.structs import Capture

from .actorshq import is_actorshq, record_actorshq
from .avatarrex import is_avatarrex, record_avatarrex
from .body_parameters import DEFAULT_RIG, PoseFromLocalRef
from .calibrated_folder import find_calibration, read_calibrated
from .dna_rendering import is_dna_rendering, record_dna_rendering
from .easymocap import is_easymocap, record_easymocap
from .errors import CaptureError, MissingFileError
from .mvhumannet import is_mvhumannet, record_mvhumannet
from .neuman import is_neuman, record_neuman
from .people_snapshot import is_people_snapshot, record_people_snapshot
from .pictures import PictureConfig
from .recording import ReadOptions, Recording, published_capture
from .smpl_poses import PoseFromSmpl
from .wild_dynacap import is_wild_dynacap, record_wild_dynacap
from .zju_mocap import read_zju_mocap
from .zju_published import is_published_zju, record_zju

# What a folder is known by, for the one who looks for his.
KNOWN = (
    "annots.npy or cameras.json (ours, ZJU-MoCap, Human3.6M), intri.yml with extri.yml and images (EasyMocap), "
    "cameras.calibration with videos (WildDynaCap), calibration_full.json or calibration.json with smpl_params.npz "
    "(AvatarReX, THuman4.0), calibration.csv with rgbs (ActorsHQ), camera_intrinsics.json with camera_extrinsics.json "
    "(MVHumanNet), camera.pkl with masks.hdf5 and reconstructed_poses.hdf5 (PeopleSnapshot), *_annots.smc "
    "(DNA-Rendering), alignments.npy with sparse and segmentations (NeuMan), images with sparse, transforms.json, "
    "Calib.toml, camera_array.toml or *.qca.txt (any rig, with a body of ours)"
)
PUBLISHED: tuple[tuple[Callable[[Path], bool], Callable[[Path], Recording]], ...] = (
    (is_published_zju, record_zju),
    (is_easymocap, record_easymocap),
    (is_wild_dynacap, record_wild_dynacap),
    (is_avatarrex, record_avatarrex),
    (is_actorshq, record_actorshq),
    (is_mvhumannet, record_mvhumannet),
    (is_people_snapshot, record_people_snapshot),
    (is_dna_rendering, record_dna_rendering),
    (is_neuman, record_neuman),
)


def read_capture(
    folder: Path,
    *,
    split: str | None = None,
    pose_from_local_ref: PoseFromLocalRef | None = None,
    pose_from_smpl: PoseFromSmpl | None = None,
    rigs: Collection[str] = (DEFAULT_RIG,),
    pictures: PictureConfig | None = None,
) -> Capture:
    """The capture in ``folder``, whatever its format: see ``KNOWN``.

    Args:
        folder: the capture.
        split: a split whose pictures and masks are to be checked for existence now; otherwise a missing one is an error
            only when it is asked for.
        pose_from_local_ref: what turns poses of Anny's default rig into ours, ``AnnyBody.pose_from_local_ref``;
            other body parameter files need none.
        pose_from_smpl: what turns poses of the SMPL family into ours, with the user's body model. Without it sets with
            such bodies are read without body: their rig is ``none``, their poses have no joints.
        rigs: the skeletons that the caller has; ``body.npz`` is read when it is of one of them, else
            ``body_default.npz``.
        pictures: cropping, background and memory for pictures.

    Raises MissingFileError (a FileNotFoundError) or CaptureError (a ValueError) with one line that names the file.
    """
    if not folder.is_dir():
        raise MissingFileError(folder, "no such folder; give the folder of a capture")
    options = ReadOptions(split=split, pictures=pictures or PictureConfig(), pose_from_smpl=pose_from_smpl)
    if (recording := _published(folder, options.pictures.mask_folders)) is not None:
        return published_capture(recording, options)
    if (folder / "annots.npy").exists() or (folder / "cameras.json").exists():
        return read_zju_mocap(folder, pose_from_local_ref=pose_from_local_ref, rigs=rigs, options=options)
    if (calibration := find_calibration(folder)) is not None:
        return read_calibrated(folder, calibration, pose_from_local_ref=pose_from_local_ref, rigs=rigs, options=options)
    raise CaptureError(folder, f"is no capture that avatar reads; expected {KNOWN}")


def _published(folder: Path, mask_folders: Sequence[str]) -> Recording | None:
    """The recording of a published set, or None for a folder that holds none."""
    if mask_folders and is_published_zju(folder):
        return record_zju(folder, masks=mask_folders)
    return next((record(folder) for is_known, record in PUBLISHED if is_known(folder)), None)
