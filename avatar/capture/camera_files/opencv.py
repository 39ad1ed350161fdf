"""``intri.yml`` and ``extri.yml`` of EasyMocap and EasyVolcap, and OpenCV's own file of one camera.

The text is that of OpenCV's ``FileStorage``: no YAML 1.2, so it is split here line by line into keys at the margin and
what belongs to them. Translations are metres, pixel centres at integers.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..calibration import Calibration
from ..errors import CaptureError, MissingFileError
from ..files import read_bytes
from .conventions import corner_intrinsics, matrix_from_rotation_vector, parse_floats

MAX_FILE_BYTES = 10 * 2**20
MATRIX = re.compile(r"!!opencv-matrix\s+rows:\s*(\d{1,9})\s+cols:\s*(\d{1,9})\s+dt:\s*\S+\s+data:\s*\[([^\]]*)\]\s*")
Value = str | list[str] | Float[np.ndarray, "_ _"]


def read_file_storage(path: Path) -> dict[str, Value]:
    """The top level of a ``FileStorage`` text: matrices, lists of words, and words, by key."""
    try:
        content = read_bytes(path, MAX_FILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise CaptureError(path, "is not text; write it with cv2.FileStorage") from error
    blocks: dict[str, list[str]] = {}
    for line in content.splitlines():
        key, colon, rest = line.partition(":")
        if line[:1] in ("", " ", "\t", "-", "%", "#", "."):
            if blocks and not line.startswith(("---", "...", "%", "#")):
                blocks[next(reversed(blocks))].append(line)
        elif colon and key.strip() not in blocks:
            blocks[key.strip()] = [rest]
        else:
            raise CaptureError(path, f"expected 'key: value', each key once, got {line[:60]!r}")
    return {key: _value("\n".join(lines).strip(), key, path) for key, lines in blocks.items()}


def _value(block: str, key: str, path: Path) -> Value:
    if block.startswith("!!"):
        match = MATRIX.fullmatch(block)
        if match is None:
            raise CaptureError(path, f"{key}: expected a matrix of rows, cols, dt and data")
        rows, columns, data = int(match[1]), int(match[2]), match[3]
        words = [word for word in data.split(",") if word.strip()]
        return parse_floats(words, (rows, columns), path, key)
    if block.startswith("[") and block.endswith("]"):
        return [_unquoted(word) for word in block[1:-1].split(",") if word.strip()]
    if block.startswith("-"):
        return [_unquoted(line.strip().removeprefix("-")) for line in block.splitlines() if line.strip()]
    return _unquoted(block)


def _unquoted(word: str) -> str:
    word = word.strip()
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def read_easymocap(folder: Path) -> list[Calibration]:
    """The cameras of ``intri.yml`` and ``extri.yml`` in ``folder``, in the order of the former's ``names``.

    ``R_`` (a rotation vector) goes before ``Rot_`` (a matrix), ``dist_`` before ``D_``; entries ``none`` of ``names``
    are skipped.
    """
    intri_path, extri_path = folder / "intri.yml", folder / "extri.yml"
    if not intri_path.exists() and not extri_path.exists():
        raise MissingFileError(intri_path, "no such file, and no COLMAP model either; give the calibration's folder")
    intri, extri = read_file_storage(intri_path), read_file_storage(extri_path)
    names = intri.get("names", [key[2:] for key in intri if key.startswith("K_")])
    if not isinstance(names, list):
        raise CaptureError(intri_path, "names: expected a list")
    used = [name for name in names if name and name != "none"]
    return [_easymocap_camera(name, intri, extri, folder) for name in used]


def _easymocap_camera(name: str, intri: dict[str, Value], extri: dict[str, Value], folder: Path) -> Calibration:
    intri_path, extri_path = folder / "intri.yml", folder / "extri.yml"
    distortion = next((intri[key] for key in (f"dist_{name}", f"D_{name}") if key in intri), np.zeros((1, 5)))
    if not isinstance(distortion, np.ndarray):
        raise CaptureError(intri_path, f"dist_{name}: expected a matrix")
    if f"R_{name}" in extri:
        rotation = matrix_from_rotation_vector(_matrix(extri, f"R_{name}", 3, extri_path).ravel())
    else:
        rotation = _matrix(extri, f"Rot_{name}", 9, extri_path).reshape(3, 3)
    translation = _matrix(extri, f"T_{name}", 3, extri_path).reshape(3, 1)
    return Calibration.checked(
        name,
        intri_path if extri_path.exists() else extri_path,
        intrinsics_px=corner_intrinsics(_matrix(intri, f"K_{name}", 9, intri_path).reshape(3, 3)),
        camera_from_world=np.hstack([rotation, translation]),
        distortion=distortion,
        size=_size(intri, f"H_{name}", f"W_{name}", intri_path),
    )


def read_opencv(path: Path, unit_m: float | None) -> list[Calibration]:
    """The one camera in a file with ``camera_matrix``, ``distortion_coefficients``, ``rvec`` or ``R``, ``tvec`` or
    ``T``. Such a file does not say the unit of the translation, so ``unit_m`` has to."""
    values = read_file_storage(path)
    if unit_m is None:
        raise CaptureError(path, "does not say the unit of its translation; give it: 0.001 for millimetres")
    rotation_key = next((key for key in ("rvec", "R") if key in values), "R")
    rotation = values.get(rotation_key)
    if isinstance(rotation, np.ndarray) and rotation.size == 3:
        turn = matrix_from_rotation_vector(rotation.ravel())
    else:
        turn = _matrix(values, rotation_key, 9, path).reshape(3, 3)
    translation = _matrix(values, "tvec" if "tvec" in values else "T", 3, path).reshape(3, 1)
    distortion = values.get("distortion_coefficients", np.zeros((1, 5)))
    if not isinstance(distortion, np.ndarray):
        raise CaptureError(path, "distortion_coefficients: expected a matrix")
    return [
        Calibration.checked(
            path.stem,
            path,
            intrinsics_px=corner_intrinsics(_matrix(values, "camera_matrix", 9, path).reshape(3, 3)),
            camera_from_world=np.hstack([turn, unit_m * translation]),
            distortion=distortion,
            size=_size(values, "image_height", "image_width", path),
        )
    ]


def _matrix(values: dict[str, Value], key: str, count: int, path: Path) -> Float[np.ndarray, "_ _"]:
    value = values.get(key)
    if not isinstance(value, np.ndarray) or value.size != count:
        found = f"{value.size} numbers" if isinstance(value, np.ndarray) else "none"
        raise CaptureError(path, f"{key}: expected a matrix of {count} numbers, got {found}; calibrate again")
    return value


def _size(values: dict[str, Value], height: str, width: str, path: Path) -> tuple[int, int] | None:
    """Height and width, which EasyVolcap writes as reals; None where they are missing or -1."""
    words = [word for word in (values.get(height), values.get(width)) if isinstance(word, str)]
    if len(words) < 2:
        return None
    rows, columns = parse_floats(words, (2,), path, f"{height}, {width}")
    if rows != round(rows) or columns != round(columns):
        raise CaptureError(path, f"{height}, {width}: expected whole numbers, got {rows:g} and {columns:g}")
    return None if rows == columns == -1 else (int(rows), int(columns))
