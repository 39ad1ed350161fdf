"""Avatar <-> folder: ``config.json`` and ``avatar.safetensors``; never pickle.

A run folder holds ``checkpoint-<step>`` folders. Each is written under another name and renamed when it is complete, so
whatever carries the name is whole.
"""

import dataclasses
import json
import math
import os
import shutil
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.model import AnyAvatar, FieldAvatar, FieldAvatarConfig, HybridAvatar, HybridAvatarConfig
from avatar.structs import Pose, Shape

FORMAT = "avatar 2"
_PREFIX = "checkpoint-"
T = TypeVar("T")


def to_json(config: Any) -> Any:
    """Frozen dataclasses, tuples and plain values as JSON data; a dataclass says its ``kind``."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {field.name: to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}
        return {"kind": type(config).__name__, **fields}
    return [to_json(value) for value in config] if isinstance(config, tuple) else config


def from_json(kind: type[T], data: Any) -> T:
    """The dataclass that ``to_json`` gave ``data`` for. ValueError says which field does not fit."""
    if not isinstance(data, dict) or data.get("kind") != kind.__name__:
        found = data.get("kind") if isinstance(data, dict) else data
        raise ValueError(f"config.json: expected a {kind.__name__}, got {found!r}")
    hints = typing.get_type_hints(kind)
    unknown = set(data) - set(hints) - {"kind"}
    if unknown:
        raise ValueError(f"config.json: {kind.__name__} has no field {', '.join(sorted(unknown))}")
    fields = {name: value for name, value in data.items() if name != "kind"}
    return kind(**{name: _value(hints[name], value, f"{kind.__name__}.{name}") for name, value in fields.items()})


def _value(hint: Any, data: Any, name: str) -> Any:
    is_choice = typing.get_origin(hint) in (types.UnionType, typing.Union, typing.Literal)
    for option in typing.get_args(hint) if is_choice else (hint,):
        match data:
            case {"kind": kind} if isinstance(option, type) and option.__name__ == kind:
                return from_json(option, data)
            case list() if typing.get_origin(option) is tuple:
                items = typing.get_args(option)
                hints = items[:1] * len(data) if items[1:] == (...,) else items
                return tuple(_value(*pair, name) for pair in zip(hints, data, strict=True))
            case int() | float() if option is float and not isinstance(data, bool) and math.isfinite(data):
                return float(data)
            case str() if data == option:
                return data
            case _:
                if type(data) is option and option is not float:
                    return data
    found = data.get("kind") if isinstance(data, dict) else data
    raise ValueError(f"config.json: {name}: expected {hint}, got {found!r}")


def save_avatar(avatar: AnyAvatar, folder: Path) -> None:
    """Write ``config.json`` and ``avatar.safetensors`` into an existing folder."""
    description = {
        "format": FORMAT,
        "config": to_json(avatar.config),
        "rig": avatar.rig,
        "shape": _shape_json(avatar.shape),
        "frame_ids": list(avatar.frame_ids),
        "cameras": list(avatar.cameras),
    }
    if isinstance(avatar, FieldAvatar):
        description["canonical_shape"] = _shape_json(avatar.canonical_shape)
    poses = {
        "poses.local_quats": avatar.poses.local_quats,
        "poses.root_position_world": avatar.poses.root_position_world,
    }
    (folder / "config.json").write_text(json.dumps(description, indent=1))
    save_tensors(folder / "avatar.safetensors", {**avatar.state_dict(), **poses})


def _shape_json(shape: Shape) -> dict[str, float]:
    return dict(zip(shape.names, shape.values.tolist(), strict=True))


def _shape_from_json(data: Any) -> Shape:
    shape = Shape(names=tuple(data), values=torch.tensor(list(data.values()), dtype=torch.float32))
    if not bool(shape.values.isfinite().all()):
        raise ValueError(f"shape: expected finite numbers, got {data}")
    return shape


def load_avatar(folder: Path, device: torch.device | str = "cpu") -> AnyAvatar:
    """Read an avatar from a checkpoint folder, or the newest one of a run folder, onto ``device``.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: a file is damaged or of another version; the message names it.
    """
    folder = folder if (folder / "config.json").is_file() else newest_checkpoint(folder)
    path = folder / "config.json"
    try:
        description = json.loads(path.read_text())
        if description.get("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT!r}, got {description.get('format')!r}")
        known = {
            "shape": _shape_from_json(description["shape"]),
            "rig": description["rig"],
            "frame_ids": [int(frame) for frame in description["frame_ids"]],
            "cameras": [str(name) for name in description["cameras"]],
        }
        config = _value(HybridAvatarConfig | FieldAvatarConfig, description["config"], "config")
        if isinstance(config, FieldAvatarConfig):
            known["canonical_shape"] = _shape_from_json(description["canonical_shape"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: not an avatar's config: {error}") from error
    tensors = load_tensors(folder / "avatar.safetensors")
    try:
        known["poses"] = Pose(
            local_quats=tensors.pop("poses.local_quats"), root_position_world=tensors.pop("poses.root_position_world")
        )
        avatar = _filled(config, known, tensors)
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder}: avatar.safetensors does not fit config.json: {reason}") from error
    return avatar.to(device)


def _filled(
    config: HybridAvatarConfig | FieldAvatarConfig, known: dict[str, Any], tensors: dict[str, Tensor]
) -> AnyAvatar:
    match config:
        case HybridAvatarConfig():
            avatar = HybridAvatar(**known, config=config)
            avatar.canonical.replace_rows({name: tensors[f"canonical.{name}"] for name in PER_GAUSSIAN})
        case FieldAvatarConfig():
            avatar = FieldAvatar(**known, config=config)
    avatar.load_state_dict(tensors)
    return avatar


def load_hybrid(folder: Path, device: torch.device | str = "cpu") -> HybridAvatar:
    """The same, of Gaussians; ValueError for a radiance field."""
    avatar = load_avatar(folder, device)
    if not isinstance(avatar, HybridAvatar):
        raise ValueError(f"{folder}: expected Gaussians, found a radiance field; see `avatar fit hybrid --from-field`")
    return avatar


def load_field(folder: Path, device: torch.device | str = "cpu") -> FieldAvatar:
    """The same, of a radiance field; ValueError for Gaussians."""
    avatar = load_avatar(folder, device)
    if not isinstance(avatar, FieldAvatar):
        raise ValueError(f"{folder}: expected a radiance field, found Gaussians")
    return avatar


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file to disk, flushed."""
    with path.open("wb") as file:
        file.write(save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))
        file.flush()
        os.fsync(file.fileno())


def load_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, copied into memory. FileNotFoundError or ValueError name the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; fit the avatar again")
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged safetensors file: {error}") from error


def newest_checkpoint(run: Path) -> Path:
    """The complete checkpoint with the highest step. FileNotFoundError when there is none."""
    found = [path for path in run.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdecimal()]
    if not found:
        raise FileNotFoundError(f"{run}: no checkpoint here; make one with `avatar fit` or `avatar meta-learn`")
    return max(found, key=lambda path: int(path.name.removeprefix(_PREFIX)))


def write_checkpoint(run: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Let ``fill`` write into a new folder, give it its name in one move, and delete older checkpoints."""
    run.mkdir(parents=True, exist_ok=True)
    temporary, final = run / f".{_PREFIX}{step}.tmp", run / f"{_PREFIX}{step:07d}"
    for leftover in run.glob(f".{_PREFIX}*.tmp"):
        shutil.rmtree(leftover)
    temporary.mkdir()
    fill(temporary)
    if final.exists():  # the same step: what is there is as good
        shutil.rmtree(temporary)
    else:
        os.rename(temporary, final)
    for old in run.glob(f"{_PREFIX}*"):
        if old != final:
            shutil.rmtree(old)
    return final
