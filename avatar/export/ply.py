"""3D Gaussians as the PLY file that splat viewers read (Kerbl et al. 2023).

One ``vertex`` element of float properties: ``x y z``, ``nx ny nz`` (zeros), ``f_dc_*``, ``f_rest_*`` (all red
coefficients, then green, then blue), ``opacity`` (logit), ``scale_*`` (logarithm), ``rot_*`` (unit ``wxyz``). Numbers
are written in the frame that the Gaussians are in; viewers expect the one of ``to_viewer_axes``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from avatar.atomic import replacing
from avatar.geometry import normalize_quats
from avatar.structs import Gaussians

from .axes import without_linear
from .ply_table import read_vertices

MIN_OPACITY = 1e-6  # the logits of 0 and 1 are infinite
MAX_LOG_SCALE = 80.0  # beyond it a float32 overflows
NUM_REST = (0, 9, 24, 45)

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")
COLOR = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")


def write_ply(path: Path, gaussians: Gaussians, comments: Sequence[str] = ()) -> None:
    """Write Gaussians, whole or not at all; ``comments`` go into the header. A binding is not kept.

    Opacities are kept a millionth away from 0 and 1, whose logits are infinite. Raises ValueError where a value is not
    finite or a scale not positive.
    """
    gaussians = without_linear(gaussians)
    means, sh = gaussians.means, gaussians.sh
    rest = sh[:, 1:].mT.flatten(1)
    blocks = {
        POSITION: means,
        NORMAL: torch.zeros_like(means),
        COLOR: sh[:, 0],
        _rest_names(rest.shape[1]): rest,
        ("opacity",): gaussians.opacities.double().clamp(MIN_OPACITY, 1 - MIN_OPACITY).logit()[:, None],
        SCALE: gaussians.scales.double().log(),
        ROTATION: normalize_quats(gaussians.quats.double()),
    }
    for names, values in blocks.items():
        if not values.isfinite().all():
            raise ValueError(f"{path}: expected finite values in {names[0]} to {names[-1]}; nothing was written")
    table = torch.cat([block.detach().double().cpu() for block in blocks.values()], dim=1).numpy().astype("<f4")
    notes = "".join(f"comment {line}\n" for comment in comments for line in comment.splitlines())
    properties = "".join(f"property float {name}\n" for names in blocks for name in names)
    header = f"ply\nformat binary_little_endian 1.0\n{notes}element vertex {len(means)}\n{properties}end_header\n"
    with replacing(path) as temporary:
        temporary.write_bytes(header.encode("ascii", "replace") + table.tobytes())


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians in the frame that the file has them in; properties go by name, unknown ones are ignored.

    Raises FileNotFoundError, and ValueError naming the file and what is wrong with it: not a binary little-endian PLY,
    a property missing, a number of harmonics of no degree, rows missing, a value out of range.
    """
    vertices = read_vertices(path)
    found = set(vertices.dtype.names or ())
    num_rest = sum(name.startswith("f_rest_") for name in found)
    if num_rest not in NUM_REST:
        raise ValueError(f"{path}: expected 0, 9, 24 or 45 properties f_rest_*, got {num_rest}")

    def columns(names: tuple[str, ...], limit: float = 1e30) -> Float64[Tensor, "n _d"]:
        if missing := [name for name in names if name not in found]:
            raise ValueError(f"{path}: not 3D Gaussians: property {missing[0]!r} is missing")
        values = np.empty((len(vertices), len(names)))
        for index, name in enumerate(names):
            values[:, index] = vertices[name]
        if not (np.abs(values) <= limit).all():
            raise ValueError(f"{path}: expected numbers of at most {limit:g} in {names[0]} to {names[-1]}")
        return torch.from_numpy(values)

    rest = columns(_rest_names(num_rest)).unflatten(1, (3, num_rest // 3)).mT
    quats = columns(ROTATION)
    quats[quats.norm(dim=1) == 0] = quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    return Gaussians(
        means=columns(POSITION).float(),
        quats=normalize_quats(quats).float(),
        scales=columns(SCALE, MAX_LOG_SCALE).exp().float(),
        opacities=columns(("opacity",), limit=np.inf)[:, 0].sigmoid().float(),
        sh=torch.cat([columns(COLOR)[:, None], rest], dim=1).float(),
    )


def _rest_names(count: int) -> tuple[str, ...]:
    return tuple(f"f_rest_{i}" for i in range(count))
