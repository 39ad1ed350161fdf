"""Rigid transforms as 4x4 matrices ``target_from_source`` and as unit dual quaternions."""

import torch
from jaxtyping import Float
from torch import Tensor

from .rotations import conjugate_quats, matrices_from_quats, multiply_quats, quats_from_matrices


def rigid_from_parts(
    rotations: Float[Tensor, "*#b 3 3"], translations: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b 4 4"]:
    """Transforms ``x -> rotation x + translation``; any linear part may stand for the rotation."""
    batch = torch.broadcast_shapes(rotations.shape[:-2], translations.shape[:-1])
    columns = torch.cat([rotations.expand(*batch, 3, 3), translations.expand(*batch, 3)[..., None]], dim=-1)
    bottom = columns.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*batch, 1, 4)
    return torch.cat([columns, bottom], dim=-2)


def invert_rigid(target_from_source: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """``source_from_target``; exact only for a rotation as the linear part."""
    rotations = target_from_source[..., :3, :3].mT
    return rigid_from_parts(rotations, -(rotations @ target_from_source[..., :3, 3:]).squeeze(-1))


def transform_points(
    target_from_source: Float[Tensor, "*#b 4 4"], points_source: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b 3"]:
    """Points in the target frame, pairwise over the batch: transform ``j`` moves point ``j``, one alone moves all."""
    return transform_directions(target_from_source, points_source) + target_from_source[..., :3, 3]


def transform_directions(
    target_from_source: Float[Tensor, "*#b 4 4"], directions_source: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b 3"]:
    """Directions in the target frame, pairwise over the batch: turned but not moved."""
    return (target_from_source[..., :3, :3] @ directions_source[..., None]).squeeze(-1)


def dual_quats_from_rigid(target_from_source: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 8"]:
    """Unit dual quaternions, real part then dual part ``1/2 (0, t) q`` (Kavan et al. 2008, section 3)."""
    real = quats_from_matrices(target_from_source[..., :3, :3])
    half = 0.5 * target_from_source[..., :3, 3]
    return torch.cat([real, multiply_quats(torch.cat([torch.zeros_like(half[..., :1]), half], dim=-1), real)], dim=-1)


def rigid_from_dual_quats(dual_quats: Float[Tensor, "*b 8"]) -> Float[Tensor, "*b 4 4"]:
    """Transforms of dual quaternions whose real part has length one."""
    real = dual_quats[..., :4]
    return rigid_from_parts(matrices_from_quats(real), translations_from_dual_quats(dual_quats))


def translations_from_dual_quats(dual_quats: Float[Tensor, "*b 8"]) -> Float[Tensor, "*b 3"]:
    """Translations of dual quaternions whose real part has length one."""
    real, dual = dual_quats[..., :4], dual_quats[..., 4:]
    return 2.0 * multiply_quats(dual, conjugate_quats(real))[..., 1:]
