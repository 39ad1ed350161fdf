"""COLMAP's sparse models, text and binary: ``cameras`` and ``images``. The layout follows COLMAP's documentation.

World to camera, OpenCV axes, quaternions ``wxyz``, pixel centres at .5 already. The world's scale and orientation are
whatever the reconstruction made them.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..calibration import Calibration
from ..errors import CaptureError, MissingFileError
from ..files import read_bytes
from .conventions import matrix_from_quat, parse_floats, pinhole

MAX_CAMERAS = 100_000
# By COLMAP's number of the model: its name and how many parameters it has.
MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
)
COUNTS = dict(MODELS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensor:
    """What ``cameras`` says of one sensor: COLMAP's model, size and parameters."""

    model: str
    height: int
    width: int
    parameters: Float[np.ndarray, " p"]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What ``images`` says of one picture."""

    quat: Float[np.ndarray, "4"]
    translation: Float[np.ndarray, "3"]
    sensor_id: int
    name: str


def find_colmap(folder: Path) -> Path | None:
    """The folder of the model: ``folder`` itself, its ``sparse`` or ``sparse/0``; None when there is none."""
    places = (folder, folder / "sparse", folder / "sparse" / "0")
    return next((place for place in places if _pair(place) is not None), None)


def _pair(folder: Path) -> tuple[Path, Path] | None:
    for suffix in (".bin", ".txt"):
        files = folder / f"cameras{suffix}", folder / f"images{suffix}"
        if all(file.exists() for file in files):
            return files
    return None


def read_colmap(folder: Path) -> list[Calibration]:
    """One calibration for every picture of the model in ``folder``, called by the picture's file, sorted by it.

    The world's unit is the model's. Raises CaptureError for the models FOV and THIN_PRISM_FISHEYE, which OpenCV cannot
    undo: let COLMAP undistort those pictures.
    """
    place = find_colmap(folder)
    pair = _pair(place) if place is not None else None
    if pair is None:
        raise MissingFileError(folder / "cameras.bin", "no such file, nor cameras.txt, with images beside; export them")
    cameras_path, images_path = pair
    is_binary = cameras_path.suffix == ".bin"
    sensors = _binary_sensors(cameras_path) if is_binary else _text_sensors(cameras_path)
    views = _binary_views(images_path) if is_binary else _text_views(images_path)
    return [_calibration(view, sensors, images_path) for view in sorted(views, key=lambda view: view.name)]


def _calibration(view: View, sensors: dict[int, Sensor], path: Path) -> Calibration:
    sensor = sensors.get(view.sensor_id)
    if sensor is None:
        raise CaptureError(path, f"{view.name}: there is no camera {view.sensor_id}; export the model again")
    numbers = sensor.parameters.tolist()
    has_one_focal = sensor.model.startswith(("SIMPLE", "RADIAL"))
    focals, rest = (numbers[:1] * 2, numbers[1:]) if has_one_focal else (numbers[:2], numbers[2:])
    distortion, is_fisheye = rest[2:], sensor.model.endswith("FISHEYE")
    if sensor.model in ("FOV", "THIN_PRISM_FISHEYE"):
        raise CaptureError(path, f"the model {sensor.model} cannot be undone; run COLMAP's image_undistorter")
    return Calibration.checked(
        view.name,
        path,
        intrinsics_px=pinhole(*focals, *rest[:2]),
        camera_from_world=np.column_stack([matrix_from_quat(view.quat), view.translation]),
        distortion=[*distortion, *[0.0] * (4 - len(distortion))] if is_fisheye else distortion,
        size=(sensor.height, sensor.width),
        is_fisheye=is_fisheye,
    )


def _lines(path: Path) -> list[str]:
    try:
        content = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise CaptureError(path, "is no text; export the model again") from error
    return [line for line in content.split("\n") if not line.startswith("#")]


def _text_sensors(path: Path) -> dict[int, Sensor]:
    sensors = {}
    for line in _lines(path):
        if not line.strip():
            continue
        words = line.split()
        model = words[1] if len(words) > 1 else "none"
        if model not in COUNTS:
            raise CaptureError(path, f"unknown camera model {model[:40]!r}; there are {', '.join(COUNTS)}")
        key, width, height, *parameters = parse_floats(
            [words[0], *words[2:]], (3 + COUNTS[model],), path, f"camera {words[0][:20]}"
        )
        sensors[int(key)] = Sensor(
            model=model, height=int(height), width=int(width), parameters=np.array(parameters, np.float64)
        )
    return sensors


def _text_views(path: Path) -> list[View]:
    """Two lines a picture, of which the second, the points it sees, may be empty and is not needed."""
    views = []
    for line in _lines(path)[::2]:
        words = line.split(maxsplit=9)
        if not words:
            continue
        if len(words) < 10:
            raise CaptureError(path, f"expected ten words for a picture, got {line[:60]!r}; export the model again")
        numbers = parse_floats(words[1:9], (8,), path, words[9][:60])
        views.append(View(quat=numbers[:4], translation=numbers[4:7], sensor_id=int(numbers[7]), name=words[9].strip()))
    return views


class _Bytes:
    """A binary file, read from front to back."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.place = path, read_bytes(path), 0

    def take(self, form: str) -> tuple[int | float, ...]:
        """The numbers of a ``struct`` format, little-endian."""
        end = self.place + struct.calcsize("<" + form)
        if end > len(self.data):
            raise CaptureError(self.path, "ends too early; copy it again")
        values = struct.unpack("<" + form, self.data[self.place : end])
        self.place = end
        return values

    def take_count(self) -> int:
        """How many entries follow."""
        count = int(self.take("Q")[0])
        if count > MAX_CAMERAS:
            raise CaptureError(self.path, f"says it has {count} entries; at most {MAX_CAMERAS} are read")
        return count

    def take_name(self) -> str:
        """A text that ends in a zero byte."""
        end = self.data.find(b"\0", self.place, self.place + 1024)
        if end < 0:
            raise CaptureError(self.path, "has a picture's name without an end; copy it again")
        name = self.data[self.place : end].decode(errors="replace")
        self.place = end + 1
        return name

    def skip(self, size: int) -> None:
        """Leave bytes out."""
        if size > len(self.data) - self.place:
            raise CaptureError(self.path, "ends too early; copy it again")
        self.place += size


def _binary_sensors(path: Path) -> dict[int, Sensor]:
    file, sensors = _Bytes(path), {}
    for _ in range(file.take_count()):
        key, number, width, height = (int(value) for value in file.take("IiQQ"))
        if not 0 <= number < len(MODELS):
            raise CaptureError(path, f"unknown camera model {number}; there are 0 to {len(MODELS) - 1}")
        model, count = MODELS[number]
        parameters = np.array(file.take(f"{count}d"))
        sensors[key] = Sensor(model=model, height=height, width=width, parameters=parameters)
    return sensors


def _binary_views(path: Path) -> list[View]:
    file, views = _Bytes(path), []
    for _ in range(file.take_count()):
        numbers = np.array(file.take("I7d"))
        (sensor_id,) = file.take("I")
        name = file.take_name()
        file.skip(24 * int(file.take("Q")[0]))
        views.append(View(quat=numbers[1:5], translation=numbers[5:8], sensor_id=int(sensor_id), name=name))
    return views
