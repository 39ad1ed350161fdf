"""Gaussians and mesh vertices follow the body's joints."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import (
    dense_weights,
    dual_quats_from_rigid,
    interpolate,
    matrices_from_quats,
    multiply_quats,
    normalize_quats,
    quats_from_matrices,
    translations_from_dual_quats,
)
from avatar.structs import Binding, Body, Gaussians, Mesh


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Linear blend skinning: positions by the mean of the joints' matrices."""


@dataclass(frozen=True, kw_only=True)
class DualQuaternion:
    """Dual-quaternion skinning (Kavan et al. 2008): keeps volume in twists."""


@dataclass(frozen=True, kw_only=True)
class Blended:
    """Part of the way from linear to dual-quaternion skinning.

    Attributes:
        dqs_fraction: 0 is linear, 1 is dual-quaternion.
    """

    dqs_fraction: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.dqs_fraction <= 1:
            raise ValueError(f"Blended.dqs_fraction: expected 0 to 1, got {self.dqs_fraction}")


Skinning = Linear | DualQuaternion | Blended


@dataclass(frozen=True, kw_only=True, eq=False)
class SkinWeights:
    """How much each joint moves each point; a row of ``dense`` sums to one."""

    dense: Float[Tensor, "n j"]

    @classmethod
    def of_vertices(cls, body: Body) -> "SkinWeights":
        """The body's own weights, one row a vertex."""
        return cls(dense=dense_weights(body.bone_ids, body.bone_weights, len(body.joints_rest)))

    @classmethod
    def of_binding(cls, binding: Binding, body: Body) -> "SkinWeights":
        """Weights of points on the template, interpolated from its vertices."""
        vertices = cls.of_vertices(body).dense
        return cls(dense=interpolate(vertices, binding.template.faces[binding.triangles], binding.barycentrics))


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """What skinning does to points: ``x -> matrices x + translations``, and the pure rotation that goes with it."""

    matrices: Float[Tensor, "n 3 3"]
    translations: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]

    def move(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Canonical points to the world."""
        return torch.baddbmm(self.translations[..., None], self.matrices, points[..., None])[..., 0]


def motion(weights: SkinWeights, body: Body, skinning: Skinning) -> Motion:
    """The motion of every point from the canonical pose to the pose of ``body``."""
    quats = _joint_quats(body)
    match skinning:
        case Linear():
            return _linear(weights, body.posed_from_rest, quats)
        case DualQuaternion():
            return _dual_quaternion(weights, body.posed_from_rest, quats)
        case Blended(dqs_fraction=fraction):
            linear = _linear(weights, body.posed_from_rest, quats)
            dual = _dual_quaternion(weights, body.posed_from_rest, quats)
            return Motion(
                matrices=torch.lerp(linear.matrices, dual.matrices, fraction),
                translations=torch.lerp(linear.translations, dual.translations, fraction),
                quats=dual.quats,
            )


def _joint_quats(body: Body) -> Float[Tensor, "j 4"]:
    """Rotations of the joints with signs that agree along every bone, so that neighbours may be averaged."""
    quats = quats_from_matrices(body.posed_from_rest[:, :3, :3])
    parents = torch.tensor(body.parents, device=quats.device).clamp(min=0)
    signs = [1.0 if agrees else -1.0 for agrees in ((quats * quats[parents]).sum(-1) >= 0).tolist()]
    for joint, parent in enumerate(body.parents[1:], start=1):
        signs[joint] *= signs[parent]
    return quats * quats.new_tensor(signs)[:, None]


def _linear(weights: SkinWeights, rigid: Float[Tensor, "j 4 4"], quats: Float[Tensor, "j 4"]) -> Motion:
    blended = weights.dense @ torch.cat([rigid[:, :3].flatten(1), quats], 1)
    affine = blended[:, :12].unflatten(1, (3, 4))
    return Motion(matrices=affine[..., :3], translations=affine[..., 3], quats=normalize_quats(blended[:, 12:]))


def _dual_quaternion(weights: SkinWeights, rigid: Float[Tensor, "j 4 4"], quats: Float[Tensor, "j 4"]) -> Motion:
    dual_quats = dual_quats_from_rigid(rigid)
    same_sign = (dual_quats[:, :4] * quats).sum(1, keepdim=True).sign()
    blended = weights.dense @ (dual_quats * same_sign)
    blended = blended / torch.linalg.vector_norm(blended[:, :4], dim=1, keepdim=True).clamp(min=1e-8)
    return Motion(
        matrices=matrices_from_quats(blended[:, :4]),
        translations=translations_from_dual_quats(blended),
        quats=blended[:, :4],
    )


def skin_gaussians(gaussians: Gaussians, moved: Motion) -> Gaussians:
    """Means and rotations to the world; sizes stay (a Gaussian is turned, not sheared)."""
    return replace(
        gaussians, means=moved.move(gaussians.means), quats=multiply_quats(moved.quats, gaussians.quats)
    )


def skin_mesh(mesh: Mesh, moved: Motion) -> Mesh:
    """Vertices to the world."""
    return replace(mesh, vertices=moved.move(mesh.vertices))
