"""``transforms.json`` of nerfstudio, instant-ngp and Blender's NeRF scenes.

``transform_matrix`` leads from an OpenGL camera (y up, z backward) to the world; pixel centres are at .5. A field of a
frame goes before the same field of the whole file. Files that MetaCap writes (``from_na``) look alike but hold OpenCV
cameras in millimetres. ``applied_transform`` is left in place: the world is that of ``transform_matrix``.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..calibration import Calibration
from ..errors import CaptureError
from ..files import first_file, inside, read_json
from ..picture_files import picture_size
from ..tables import field, floats, integer, sequence, table, text
from .conventions import inverted, pinhole

MILLIMETRE = 1e-3
MODELS = {"OPENCV": False, "PINHOLE": False, "SIMPLE_PINHOLE": False, "OPENCV_FISHEYE": True}
BROWN, FISHEYE = ("k1", "k2", "p1", "p2", "k3"), ("k1", "k2", "k3", "k4")


def read_transforms(path: Path) -> list[Calibration]:
    """One calibration for every frame, called by its ``file_path``."""
    values = read_json(path)
    frames = sequence(field(values, "frames", path, "the file"), path, "frames")
    shared = {key: value for key, value in values.items() if key != "frames"}
    return [
        _calibration(shared | table(frame, path, f"frames[{index}]"), f"frames[{index}]", path)
        for index, frame in enumerate(frames)
    ]


def _calibration(frame: dict[str, object], what: str, path: Path) -> Calibration:
    name = text(field(frame, "file_path", path, what), path, f"{what}: file_path").removeprefix("./")
    matrix = floats(field(frame, "transform_matrix", path, what), (4, 4), path, f"{what}: transform_matrix")
    if frame.get("from_na") is True:
        matrix[:3, 3] *= MILLIMETRE
    else:
        matrix[:3, 1:3] *= -1.0
    model = frame.get("camera_model", "OPENCV")
    if not isinstance(model, str) or model not in MODELS:
        raise CaptureError(path, f"{what}: camera_model: expected one of {', '.join(MODELS)}, got {model!r:.40}")
    size = _size(frame, name, what, path)
    return Calibration.checked(
        name,
        path,
        intrinsics_px=_intrinsics(frame, size, what, path),
        camera_from_world=inverted(matrix),
        distortion=[
            float(floats(frame.get(key, 0.0), (), path, f"{what}: {key}"))
            for key in (FISHEYE if MODELS[model] else BROWN)
        ],
        size=size,
        is_fisheye=MODELS[model],
    )


def _size(frame: dict[str, object], name: str, what: str, path: Path) -> tuple[int, int]:
    """Height and width as the file says, else of the picture, whose suffix the file may leave out."""
    if "w" in frame and "h" in frame:
        height, width = (floats(frame[key], (), path, f"{what}: {key}") for key in "hw")
        return int(height), int(width)
    return picture_size(first_file(inside(path.parent, name + suffix) for suffix in ("", ".png", ".jpg")))


def _intrinsics(frame: dict[str, object], size: tuple[int, int], what: str, path: Path) -> Float[np.ndarray, "3 3"]:
    if "intrinsic_matrix" in frame:
        rows = sequence(frame["intrinsic_matrix"], path, f"{what}: intrinsic_matrix")
        order = integer(len(rows), path, f"{what}: rows of intrinsic_matrix", 3, 4)
        return floats(rows, (order, order), path, f"{what}: intrinsic_matrix")[:3, :3].copy()
    height, width = size

    def number(key: str, otherwise: float) -> float:
        return float(floats(frame.get(key, otherwise), (), path, f"{what}: {key}"))

    angle = number("camera_angle_x", 0.0)
    if "fl_x" not in frame and not 0.0 < angle < math.pi:
        raise CaptureError(path, f"{what} has neither fl_x nor a camera_angle_x between 0 and pi; add one")
    focal = number("fl_x", 0.0) if "fl_x" in frame else width / (2.0 * math.tan(angle / 2.0))
    return pinhole(focal, number("fl_y", focal), number("cx", width / 2.0), number("cy", height / 2.0))
