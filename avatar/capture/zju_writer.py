"""Write a capture as ZJU-MoCap is published (Peng et al., "Neural Body", CVPR 2021), for everybody's programs.

::

    annots.npy                          cams: K, D, R, T in millimetres; ims: the picture paths of every time step
    intri.yml, extri.yml                the same cameras for EasyMocap
    Camera_B1/000000.png                pictures, .jpg where they were
    mask/Camera_B1/000000.png           0 and 255
    mask_cihp/Camera_B1/000000.png      0 and the part label of upper clothes, 5
    new_params/0.npy                    poses, Rh, Th, shapes; of a capture with the body of the set, ``smpl_neutral``
    new_vertices/0.npy                  the body's vertices, world metres, of any rig
    body_default.npz, splits.json       for us: the body to the bit, splits, names
    surface/000000.npy                  for us: the true surface, where it is known

The world is the set's, but in what is for us alone: its z points down, and pixel centres are at integers. The tables
are pickles, as the set's are, in protocol 2 and with names that NumPy 1 and 2 know; nothing of ours runs what a pickle
names. Read back by ``read_capture``, cameras, poses, masks and pictures are the same to the bit.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.atomic import replacing_folder
from avatar.structs import Camera, Capture

from .calibration import Calibration
from .camera_files import write_easymocap
from .camera_files.conventions import centre_intrinsics
from .smpl_poses import SmplPoses
from .surfaces import write_surfaces
from .writer import FileOf, Pair, description, write_body_of, write_mask, write_unchanged
from .zju_mocap import UPSIDE_DOWN
from .zju_published import ZJU_RIG

MASK_LABELS = {"mask": 255, "mask_cihp": 5}
NUM_BETAS = 10


def write_zju_mocap(
    capture: Capture,
    folder: Path,
    *,
    vertices_world: Callable[[int], Float[np.ndarray, "v 3"]],
    smpl: SmplPoses | None = None,
    pairs: Iterable[Pair] | None = None,
    file_of: FileOf | None = None,
    on_picture: Callable[[], None] | None = None,
) -> None:
    """Write cameras, bodies, pictures and masks; all of it or nothing.

    Args:
        capture: what to write. Cameras are called by their numbers in other programs, by their names in ours.
        folder: a new or empty one.
        vertices_world: the body's vertices at a time step, in the house's world.
        smpl: the poses as the set has them, about the origin, in the world of the set, which is the house's turned by
            ``UPSIDE_DOWN``; None for a body of another rig than the set's.
        pairs: time steps and cameras of the pictures to write; by default all. Others are named in the table all the
            same, since it has one of every time step and camera.
        file_of: files to copy pictures from; without one, or where it has none, they are written as PNG.
        on_picture: is called after each picture.

    Raises ValueError when the folder is not empty, or the body is of more shapes than ten, and what
    ``capture.load_frame`` raises.
    """
    about = description(capture, pixel_origin="centre", up="-z")
    cameras, frames = zju_calibrations(capture.cameras), range(capture.num_frames)
    names = [[f"{camera.name}/{frame:06d}" for camera in cameras] for frame in frames]
    if pairs is None:
        pairs = [(frame, camera) for frame in frames for camera in range(len(cameras))]
    with replacing_folder(folder) as place:
        (place / "splits.json").write_text(json.dumps(about))
        write_body_of(capture, place)
        write_surfaces(capture, place)
        write_vertices(place / "new_vertices", map(vertices_world, frames))
        if smpl is not None:
            write_params(place / "new_params", smpl)
        suffixes = {}
        for frame_id, camera_id in pairs:
            frame, stem = capture.load_frame(frame_id, camera_id, False), names[frame_id][camera_id]
            file = file_of(frame_id, camera_id) if file_of else None
            is_foreground = frame.is_foreground.numpy(force=True)
            suffixes[stem] = write_unchanged(place / stem, frame, file)
            for folder_name, label in MASK_LABELS.items():
                write_mask(place / folder_name / f"{stem}.png", is_foreground, label)
            if on_picture:
                on_picture()
        write_easymocap(place, cameras)
        pictures = [[stem + suffixes.get(stem, ".png") for stem in row] for row in names]
        write_annots(place / "annots.npy", cameras, pictures)


def write_annots(path: Path, calibrations: Sequence[Calibration], pictures: Sequence[Sequence[str]]) -> None:
    """The table of cameras, in millimetres, and of the paths of the pictures of every time step."""
    cams = {
        "K": [centre_intrinsics(camera.intrinsics_px) for camera in calibrations],
        "D": [camera.distortion[:, None] for camera in calibrations],
        "R": [camera.camera_from_world[:3, :3] for camera in calibrations],
        "T": [1000.0 * camera.camera_from_world[:3, 3:] for camera in calibrations],
    }
    write_npy_dict(path, {"cams": cams, "ims": [{"ims": list(names)} for names in pictures]})


def write_params(folder: Path, smpl: SmplPoses) -> None:
    """A file of ``poses``, ``Rh``, ``Th`` and ``shapes`` for every time step, each with a leading axis of one.

    Raises ValueError for a body of another rig than the set's, or of more than ten shape parameters that count.
    """
    if smpl.rig != ZJU_RIG or smpl.placement != "about_origin":
        raise ValueError(f"write_params: expected {ZJU_RIG} placed about the origin, got {smpl.rig}, {smpl.placement}")
    if smpl.betas[NUM_BETAS:].any():
        raise ValueError(f"{folder}: expected at most {NUM_BETAS} shape parameters, got {len(smpl.betas)}")
    shapes = np.zeros((1, NUM_BETAS))
    shapes[0, : len(smpl.betas)] = smpl.betas[:NUM_BETAS]
    folder.mkdir()
    for frame, (turns, place) in enumerate(zip(smpl.turns, smpl.offsets, strict=True)):
        poses = np.concatenate([np.zeros(3), turns[1:].ravel()])[None]
        values = {"poses": poses, "Rh": turns[:1], "Th": place[None], "shapes": shapes}
        write_npy_dict(folder / f"{frame}.npy", values)


def write_vertices(folder: Path, vertices_world: Iterable[Float[np.ndarray, "v 3"]]) -> None:
    """A file of the body's vertices for every time step, given in the house's world."""
    folder.mkdir()
    for frame, vertices in enumerate(vertices_world):
        np.save(folder / f"{frame}.npy", (vertices @ UPSIDE_DOWN).astype(np.float32))


def write_npy_dict(path: Path, values: Mapping[str, object]) -> None:
    """A dictionary of lists, text and arrays as ``numpy.save`` stores it, for ``numpy.load(allow_pickle=True)``.

    NumPy 2 calls its modules by names that NumPy 1 does not know; these are given back their old ones, which both know.
    """
    data = np.array(dict(values), dtype=object).dumps()  # protocol 2, in which names are lines of text
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(data.replace(b"cnumpy._core.", b"cnumpy.core."))


def zju_calibrations(cameras: Sequence[Camera]) -> list[Calibration]:
    """The cameras as the set calls them, in its world; their pictures are free of distortion."""
    return [
        Calibration(
            name=f"Camera_B{index + 1}",
            intrinsics_px=camera.intrinsics_px.double().numpy(),
            camera_from_world=camera.camera_from_world.double().numpy(),
            distortion=np.zeros(5),
            size=(camera.height, camera.width),
        ).turned(UPSIDE_DOWN)
        for index, camera in enumerate(cameras)
    ]
