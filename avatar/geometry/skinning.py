"""Skinning: points follow weighted joints, by matrices (LBS), by dual quaternions (DQS), or by a mix of both.

Everywhere ``bone_ids`` and ``bone_weights`` say which joints move a point and how much (rows sum to one, unused entries
are zero), and ``posed_from_rest`` is the rigid transform of every joint, with any batch of poses in front.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .rigid import dual_quats_from_rigid, translations_from_dual_quats
from .rotations import normalize_quats, quats_from_matrices, rotate_points
from .weighted_rows import sum_weighted_rows


def blend_transforms(
    bone_ids: Int[Tensor, "n k"], bone_weights: Float[Tensor, "n k"], posed_from_rest: Float[Tensor, "*b j 4 4"]
) -> Float[Tensor, "*b n 3 4"]:
    """The affine map of each point: weighted mean of the top three rows of its joints' transforms."""
    rows = posed_from_rest[..., :3, :].flatten(-2)
    return sum_weighted_rows(rows, bone_ids, bone_weights).unflatten(-1, (3, 4))


def lbs(
    points_rest: Float[Tensor, "*#b n 3"],
    bone_ids: Int[Tensor, "n k"],
    bone_weights: Float[Tensor, "n k"],
    posed_from_rest: Float[Tensor, "*#b j 4 4"],
) -> Float[Tensor, "*b n 3"]:
    """Points in the world by linear blend skinning (Magnenat-Thalmann et al. 1988): loses volume at twisted joints."""
    affine = blend_transforms(bone_ids, bone_weights, posed_from_rest)
    return (affine[..., :3] @ points_rest[..., None]).squeeze(-1) + affine[..., 3]


def inverse_lbs(
    points_world: Float[Tensor, "*#b n 3"],
    bone_ids: Int[Tensor, "n k"],
    bone_weights: Float[Tensor, "n k"],
    posed_from_rest: Float[Tensor, "*#b j 4 4"],
) -> Float[Tensor, "*b n 3"]:
    """The rest points that ``lbs`` takes to ``points_world``, for known weights.

    Where a blend is singular (the middle of a half-turn twist) there is no inverse: its determinant is then held at
    1e-8, so the result is finite but far away.
    """
    affine = blend_transforms(bone_ids, bone_weights, posed_from_rest)
    return (invert_linear(affine[..., :3]) @ (points_world - affine[..., 3])[..., None]).squeeze(-1)


def invert_linear(linear: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """Inverses of matrices, by their cofactors; determinants are held at 1e-8 or beyond, on their side of zero."""
    first, second, third = linear.unbind(-2)
    cofactors = [torch.linalg.cross(second, third), torch.linalg.cross(third, first), torch.linalg.cross(first, second)]
    determinant = (first * cofactors[0]).sum(-1)[..., None, None]
    determinant = torch.where(determinant < 0, determinant.clamp_max(-1e-8), determinant.clamp_min(1e-8))
    return torch.stack(cofactors, dim=-1) / determinant


def blend_dual_quats(
    bone_ids: Int[Tensor, "n k"], bone_weights: Float[Tensor, "n k"], posed_from_rest: Float[Tensor, "*b j 4 4"]
) -> Float[Tensor, "*b n 8"]:
    """The rigid map of each point: weighted mean of its joints' dual quaternions, real part scaled to length one.

    Each joint's sign is first turned to that of the point's heaviest joint (Kavan et al. 2008, section 4.1).
    """
    dual_quats = dual_quats_from_rigid(posed_from_rest)
    weights = _signed_weights(bone_ids, bone_weights, dual_quats[..., :4])
    blended = sum_weighted_rows(dual_quats, bone_ids, weights)
    return blended / torch.linalg.vector_norm(blended[..., :4], dim=-1, keepdim=True).clamp_min(1e-8)


def blend_rotations(
    bone_ids: Int[Tensor, "n k"], bone_weights: Float[Tensor, "n k"], posed_from_rest: Float[Tensor, "*b j 4 4"]
) -> Float[Tensor, "*b n 4"]:
    """The rotation of each point as unit quaternions, which normals and Gaussians turn by: the real part of DQS."""
    quats = quats_from_matrices(posed_from_rest[..., :3, :3])
    return normalize_quats(sum_weighted_rows(quats, bone_ids, _signed_weights(bone_ids, bone_weights, quats)))


def dqs(
    points_rest: Float[Tensor, "*#b n 3"],
    bone_ids: Int[Tensor, "n k"],
    bone_weights: Float[Tensor, "n k"],
    posed_from_rest: Float[Tensor, "*#b j 4 4"],
) -> Float[Tensor, "*b n 3"]:
    """Points in the world by dual-quaternion skinning (Kavan et al. 2008): keeps volume in twists, bulges in bends."""
    dual_quats = blend_dual_quats(bone_ids, bone_weights, posed_from_rest)
    return rotate_points(dual_quats[..., :4], points_rest) + translations_from_dual_quats(dual_quats)


def lbs_dqs_blend(
    points_rest: Float[Tensor, "*#b n 3"],
    bone_ids: Int[Tensor, "n k"],
    bone_weights: Float[Tensor, "n k"],
    posed_from_rest: Float[Tensor, "*#b j 4 4"],
    dqs_fraction: Float[Tensor, " n"],
) -> Float[Tensor, "*b n 3"]:
    """Points in the world, each between its LBS place (``dqs_fraction`` 0) and its DQS place (1)."""
    linear = lbs(points_rest, bone_ids, bone_weights, posed_from_rest)
    return torch.lerp(linear, dqs(points_rest, bone_ids, bone_weights, posed_from_rest), dqs_fraction[:, None])


def _signed_weights(bone_ids: Tensor, bone_weights: Tensor, quats: Tensor) -> Tensor:
    """Weights with the sign that brings each joint's quaternion to the side of the point's heaviest joint's."""
    heaviest = bone_ids.gather(-1, bone_weights.max(dim=-1, keepdim=True).indices)
    opposes = (quats @ quats.mT).detach() < 0
    return torch.where(opposes[..., heaviest, bone_ids], -bone_weights, bone_weights)
