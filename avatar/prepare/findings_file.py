"""Findings in a JSON file, and back."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from avatar.atomic import replacing
from avatar.capture.errors import CaptureError
from avatar.capture.files import read_bytes

from .observations import CameraFindings, Findings
from .synchronise import MotionSignal
from .triangulate import BoneLength

MAX_BYTES = 2**30
DIGITS = 6  # significant ones


def write_findings(path: Path, findings: Findings) -> None:
    """Write all findings, numbers to six digits; what is not known is null."""
    values = {each.name: getattr(findings, each.name) for each in fields(findings)}
    for name in ("cameras", "bones"):
        values[name] = [asdict(each) for each in values[name]]
    values["signals"] = [vars(each) for each in findings.signals]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_plain(values), allow_nan=False))


def read_findings(path: Path) -> Findings:
    """What ``write_findings`` wrote. Raises MissingFileError or CaptureError naming the file."""
    try:
        values = json.loads(read_bytes(path, MAX_BYTES))
        return Findings(
            name=str(values["name"]),
            frame_rate_hz=float(values["frame_rate_hz"]),
            cameras=tuple(_camera(each) for each in values["cameras"]),
            signals=tuple(
                MotionSignal(times_s=_array(each["times_s"]), values=_array(each["values"]))
                for each in values["signals"]
            ),
            points_world=_tensor(values["points_world"]),
            residuals_px=_tensor(values["residuals_px"]),
            fit_residuals_px=_tensor(values["fit_residuals_px"]),
            disagreements=_tensor(values["disagreements"]),
            overlaps=_tensor(values["overlaps"]),
            bones=tuple(
                BoneLength(name=str(each["name"]), metres=_number(each["metres"]), spread_m=_number(each["spread_m"]))
                for each in values["bones"]
            ),
            is_refined=bool(values["is_refined"]),
            warnings=tuple(map(str, values["warnings"])),
        )
    except CaptureError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CaptureError(path, f"holds no findings ({error}); prepare the capture again") from error


def _plain(value: object) -> object:
    """What JSON can say of a value: null for NaN, arrays as their shape and numbers."""
    match value:
        case Tensor():
            return _plain(value.numpy(force=True))
        case np.ndarray():
            return {"shape": list(value.shape), "values": _plain(value.astype(np.float64).ravel().tolist())}
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float():
            return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
        case _:
            return value


def _camera(values: dict[str, str | int | float | list[str] | None]) -> CameraFindings:
    known = ("offset_s", "sync_confidence", "before_px", "after_px", "unrest")
    notes = values["notes"]
    return CameraFindings(
        name=str(values["name"]),
        video=str(values["video"]),
        missing=int(_number(values["missing"])),
        unseen=int(_number(values["unseen"])),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
        **{name: _number(values[name]) for name in known},
    )


def _number(value: object) -> float:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    return np.nan if value is None else float(value)


def _array(value: dict[str, list[int]]) -> Float[ndarray, "..."]:
    return np.array([_number(each) for each in value["values"]]).reshape(value["shape"])


def _tensor(value: dict[str, list[int]]) -> Float[Tensor, "..."]:
    return torch.from_numpy(_array(value))
