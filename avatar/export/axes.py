"""Gaussians in the axes that splat viewers expect."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import matrices_from_quats, multiply_quats, normalize_quats, quats_from_matrices, sh_basis
from avatar.structs import Gaussians, map_tensors

# (x, y, z) -> (x, -z, y): ours is z up with the person facing -y; a viewer's is y down with the person facing -z.
VIEWER_FROM_WORLD: Final = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
# (x, y, z) -> (x, z, -y): y up, the person facing +z, as in glTF, USD, OBJ and SPZ.
Y_UP_FROM_WORLD: Final = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))


def to_viewer_axes(gaussians: Gaussians) -> Gaussians:
    """World Gaussians (z up) in the axes of 3DGS PLY files: x right, y down, z forward."""
    return rotate_gaussians(gaussians, gaussians.means.new_tensor(VIEWER_FROM_WORLD))


def to_y_up(gaussians: Gaussians) -> Gaussians:
    """World Gaussians (z up) in the axes of SPZ, glTF and USD: x right, y up, z backward."""
    return rotate_gaussians(gaussians, gaussians.means.new_tensor(Y_UP_FROM_WORLD))


def rotate_gaussians(gaussians: Gaussians, target_from_source: Float[Tensor, "3 3"]) -> Gaussians:
    """The same Gaussians in rotated axes: centres, orientations and view-dependent colour; a binding is dropped."""
    rotation, quats, linear = target_from_source, gaussians.quats, gaussians.linear
    if linear is None:
        quats = multiply_quats(quats_from_matrices(rotation).expand_as(quats), quats)
    else:
        linear = rotation @ linear
    return replace(
        gaussians,
        means=gaussians.means @ rotation.mT,
        quats=quats,
        linear=linear,
        sh=sh_rotation(rotation, gaussians.sh.shape[1]) @ gaussians.sh,
        binding=None,
    )


def without_linear(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians by quaternions and scales alone; covariances are kept to rounding, the order of axes is not.

    No standard deviation is left below a billionth of the largest: what is flat has a logarithm still.
    """
    if gaussians.linear is None:
        return gaussians
    axes = gaussians.linear @ (matrices_from_quats(normalize_quats(gaussians.quats)) * gaussians.scales[:, None])
    directions, scales, _ = torch.linalg.svd(axes.double())
    directions = directions * torch.linalg.det(directions)[:, None, None]
    scales = scales.clamp(min=1e-9 * scales[:, :1]).clamp(min=1e-30)
    return replace(
        gaussians,
        quats=quats_from_matrices(directions).to(gaussians.quats),
        scales=scales.to(gaussians.scales),
        linear=None,
    )


def storable(path: Path, gaussians: Gaussians) -> Gaussians:
    """What a file that is to be ``path`` can hold: no ``linear``, unit quaternions, on the CPU, without gradient.

    ValueError names the file and what is not finite.
    """
    plain = map_tensors(without_linear(replace(gaussians, binding=None)), lambda tensor: tensor.detach().cpu())
    for name in ("means", "quats", "scales", "opacities", "sh"):
        if not getattr(plain, name).isfinite().all():
            raise ValueError(f"{path}: expected finite values in {name}; nothing was written")
    return replace(plain, quats=normalize_quats(plain.quats))


def sh_rotation(target_from_source: Float[Tensor, "3 3"], k: int) -> Float[Tensor, "k k"]:
    """The matrix M for which ``basis(R d) @ M == basis(d)`` in every direction ``d``; ``k`` is 1, 4, 9 or 16.

    Harmonics of one degree only mix among themselves under a rotation, so a least-squares fit over more directions than
    coefficients finds the exact matrix.
    """
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[k]
    grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 4, dtype=torch.float64)] * 3)
    directions = grid / grid.norm(dim=1, keepdim=True)
    rotated = directions @ target_from_source.double().cpu().mT
    matrix = torch.linalg.lstsq(sh_basis(rotated, degree), sh_basis(directions, degree)).solution
    return matrix.to(target_from_source)
