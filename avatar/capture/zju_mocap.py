"""The ZJU-MoCap layout (Peng et al., "Neural Body", CVPR 2021) as the published set and its relatives use it.

::

    annots.npy            cams: K, R, T in millimetres, D; ims: the picture paths of every time step
    cameras.json          the same cameras without a pickle; read where there is no annots.npy
    <camera>/000000.jpg   pictures (.png as well where cameras.json names no paths)
    mask/<camera>/000000.png, or mask_cihp/...: zero is background
    body.npz              body parameters, see ``body_parameters``; of a rig that we have, else body_default.npz
    splits.json           named splits, frame_rate, pixel_origin, up, cameras; optional
    surface/000000.npy    the true surface, see ``surfaces``; of rendered captures, for some time steps

**Where pixel (0, 0) lies.** Cameras calibrated with OpenCV put pixel centres at integers, the house at .5. What holds
is the argument ``pixel_origin``, else the key of that name in ``splits.json``, else: rendered captures, known by their
true body or surface (``TRUTHS``), have ``"corner"``, filmed ones ``"centre"``. The published set is filmed. So is
balance4, whose README gives detections, to which its cameras and body were adjusted, with pixel centres at integers.

**Up.** Nothing is turned: a capture must be z-up already, but for cameras whose ``splits.json`` says ``"up": "-z"``,
which are turned by half a turn about x; the body file is z-up even then. The published set, whose z points down and
whose bodies are SMPL's, is ``zju_published``; ``zju_writer`` writes what is both.

**Names.** ``cameras`` in ``splits.json`` are the names of the cameras in the order of the table; without it those of an
``annots.npy`` are called by the folders of their pictures.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from avatar.structs import Capture

from .body_parameters import DEFAULT_RIG, PoseFromLocalRef, find_body, read_body
from .calibration import Calibration, PixelOrigin, calibrations_from_annots, calibrations_from_json
from .errors import CaptureError, MissingFileError
from .files import read_json, relative_path
from .pictures import PictureFiles
from .recording import FRAME_RATE_HZ, ReadOptions, Recording, capture_of
from .restricted_pickle import load_npy_dict
from .splits import splits_from_json
from .surfaces import read_surface
from .tables import field, floats, sequence, table, text

# What only a rendered capture comes with.
TRUTHS = ("body.npz", "surface")
MASK_FOLDERS = ("mask", "mask_cihp")
# Half a turn about x: z down to z up, and back.
UPSIDE_DOWN = np.diag([1.0, -1.0, -1.0])


def read_zju_mocap(
    folder: Path,
    *,
    pose_from_local_ref: PoseFromLocalRef | None = None,
    rigs: Collection[str] = (DEFAULT_RIG,),
    mask_folder: str | None = None,
    pixel_origin: PixelOrigin | None = None,
    options: ReadOptions | None = None,
) -> Capture:
    """A capture in the ZJU-MoCap layout. Pictures are read when asked for.

    Args:
        folder: the capture.
        pose_from_local_ref: what turns poses of Anny's default rig into ours, ``AnnyBody.pose_from_local_ref``;
            other body parameter files need none.
        rigs: the skeletons that the caller has; ``body.npz`` is read when it is of one of them, else
            ``body_default.npz``.
        mask_folder: which masks to use; by default ``mask``, else ``mask_cihp``.
        pixel_origin: where pixel (0, 0) lies in the camera table: its corner or its centre; by default see above.
        options: split and pictures.

    Raises MissingFileError (a FileNotFoundError) or CaptureError (a ValueError) with one line that names the file.
    """
    about_path, about = folder / "splits.json", _about(folder)
    body = read_body(find_body(folder, rigs), pose_from_local_ref)
    num_frames = len(body.poses.local_quats)
    calibrations, names = _cameras_and_names(folder, num_frames)
    calibrations = _in_house(calibrations, about, folder, pixel_origin)
    masks = mask_folder or _mask_folder(folder)
    recording = Recording(
        name=text(about.get("capture", folder.resolve().name), about_path, "capture"),
        where=about_path,
        calibrations=calibrations,
        source=PictureFiles(
            root=folder,
            num_frames=num_frames,
            images=lambda frame, camera: names[frame][camera],
            masks=lambda frame, camera: mask_names(names[frame][camera], masks),
        ),
        num_frames=num_frames,
        splits=splits_from_json(about, [calibration.name for calibration in calibrations], num_frames, about_path),
        frame_rate_hz=_frame_rate(about, about_path),
        load_surface=partial(read_surface, folder),
    )
    return capture_of(recording, body, options or ReadOptions())


def read_annots_cameras(path: Path) -> list[Calibration]:
    """The cameras of an ``annots.npy``, as those of ``read_zju_mocap``; what else it goes by may lie beside the file.

    Raises as that.
    """
    return _in_house(read_annots(path)[0], _about(path.parent), path.parent, None)


def mask_names(pictures: Sequence[str], folder: str) -> list[str]:
    """Where the mask of a picture may be: ``folder`` mirrors the pictures' paths, with or without their first."""
    names = [name.rpartition(".")[0] + ".png" for name in pictures]
    names += [name.partition("/")[2] for name in names if name.count("/") > 1]
    return [f"{folder}/{name}" for name in names]


def _cameras_and_names(folder: Path, num_frames: int) -> tuple[list[Calibration], list[list[tuple[str, ...]]]]:
    """The camera table, and for every time step and camera the paths where its picture may be."""
    annots_path, json_path = folder / "annots.npy", folder / "cameras.json"
    if annots_path.exists():
        calibrations, names = read_annots(annots_path)
        if len(names) != num_frames:
            raise CaptureError(
                annots_path, f"ims: {len(names)} time steps for {num_frames} poses in the body file; give each one pose"
            )
        return calibrations, [[(name,) for name in row] for row in names]
    calibrations = calibrations_from_json(read_json(json_path), json_path)
    if not calibrations:
        raise CaptureError(json_path, "has no cameras; expected at least one")
    folders = [relative_path(calibration.name, json_path) for calibration in calibrations]
    suffixes = (".jpg", ".png")
    return calibrations, [
        [tuple(f"{camera}/{frame:06d}{suffix}" for suffix in suffixes) for camera in folders]
        for frame in range(num_frames)
    ]


def read_annots(path: Path) -> tuple[list[Calibration], list[list[str]]]:
    """The cameras of an ``annots.npy``, called by their folders, and for every time step the picture of each."""
    annots = load_npy_dict(path)
    rows = sequence(field(annots, "ims", path, "the table"), path, "ims")
    names: list[list[str]] = []
    for index, row in enumerate(rows):
        what, count = f"ims[{index}]", len(names[0]) if names else None
        listed = sequence(field(table(row, path, what), "ims", path, what), path, what, count)
        names.append([relative_path(text(name, path, what), path) for name in listed])
    cameras = [name.rpartition("/")[0].rpartition("/")[2] for name in names[0]] if names else []
    if not cameras or len(set(cameras)) < len(cameras) or not all(cameras):
        raise CaptureError(path, "ims: expected the pictures of each camera in a folder of its own")
    return calibrations_from_annots(field(annots, "cams", path, "the table"), cameras, path), names


def _named(calibrations: list[Calibration], about: dict[str, object], path: Path) -> list[Calibration]:
    """The cameras with the names that ``splits.json`` has for them, where it has any."""
    if "cameras" not in about:
        return calibrations
    listed = sequence(about["cameras"], path, "cameras", len(calibrations))
    names = [text(name, path, "cameras") for name in listed]
    if len(set(names)) < len(names):
        raise CaptureError(path, "cameras: a name is listed twice; name them apart")
    return [replace(calibration, name=name) for calibration, name in zip(calibrations, names, strict=True)]


def _about(folder: Path) -> dict[str, object]:
    path = folder / "splits.json"
    return read_json(path) if path.exists() else {}


def _in_house(
    calibrations: list[Calibration], about: dict[str, object], folder: Path, origin: PixelOrigin | None
) -> list[Calibration]:
    """The cameras by their names, in a world whose z points up, with pixel centres at .5."""
    path = folder / "splits.json"
    origin = origin or _pixel_origin(about, folder)
    return [_upright(each, about, path).from_origin(origin) for each in _named(calibrations, about, path)]


def _upright(calibration: Calibration, about: dict[str, object], path: Path) -> Calibration:
    """The camera in a world whose z points up."""
    match about.get("up", "z"):
        case "z":
            return calibration
        case "-z":
            return calibration.turned(UPSIDE_DOWN)
        case other:
            raise CaptureError(path, f"up: expected 'z' or '-z', got {other!r:.40}")


def _mask_folder(folder: Path) -> str:
    for name in MASK_FOLDERS:
        if (folder / name).is_dir():
            return name
    raise MissingFileError(folder / MASK_FOLDERS[0], "no such folder; put the foreground masks there")


def _pixel_origin(about: dict[str, object], folder: Path) -> PixelOrigin:
    match about.get("pixel_origin"):
        case "corner":
            return "corner"
        case "centre":
            return "centre"
        case None:
            is_rendered = any((folder / name).exists() for name in TRUTHS)
            return "corner" if is_rendered else "centre"
        case other:
            raise CaptureError(
                folder / "splits.json", f"pixel_origin: expected 'corner' or 'centre', got {other!r:.40}"
            )


def _frame_rate(about: dict[str, object], path: Path) -> float:
    rate = float(floats(about.get("frame_rate", FRAME_RATE_HZ), (), path, "frame_rate"))
    if rate <= 0:
        raise CaptureError(path, f"frame_rate: expected time steps a second, got {rate}")
    return rate
