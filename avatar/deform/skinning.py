"""Gaussians and mesh vertices follow the body's joints."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import Influences, Skinnable
from avatar.engine import skin as engine_skin
from avatar.geometry import (
    dense_weights,
    dual_quats_from_rigid,
    interpolate,
    quats_from_matrices,
    rotate_points,
    sum_weighted_rows,
    translations_from_dual_quats,
)
from avatar.structs import Binding, Body, Mesh


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
    """Which joints move each point, and how much; only joints that count, the strongest first."""

    influences: Influences

    @classmethod
    def of_vertices(cls, body: Body) -> "SkinWeights":
        """The body's own weights, one row a vertex."""
        return cls(influences=Influences(body.bone_ids.int(), body.bone_weights))

    @classmethod
    def of_binding(cls, binding: Binding, body: Body) -> "SkinWeights":
        """Weights of points on the template, interpolated from its vertices."""
        vertices = dense_weights(body.bone_ids, body.bone_weights, len(body.joints_rest))
        dense = interpolate(vertices, binding.template.faces[binding.triangles], binding.barycentrics)
        most = int((dense > 0).sum(1).max())
        strongest = dense.topk(most)
        return cls(influences=Influences(strongest.indices.int(), strongest.values))


def skin(rest: Skinnable, weights: SkinWeights, body: Body, skinning: Skinning) -> Skinnable:
    """Points, rotations and normals from the canonical pose to the pose of ``body``, world metres.

    Rotations and normals turn by the mean of the joints' quaternions in every variant: Gaussians are not sheared.
    """
    quats = _joint_quats(body)
    linear = engine_skin(rest, weights.influences, torch.cat([body.posed_from_rest[:, :3].flatten(1), quats], 1))
    match skinning:
        case Linear():
            return linear
        case DualQuaternion():
            return linear._replace(points=_dual_quaternion(rest.points, weights, body, quats))
        case Blended(dqs_fraction=fraction):
            dual = _dual_quaternion(rest.points, weights, body, quats)
            return linear._replace(points=torch.lerp(linear.points, dual, fraction))


def _joint_quats(body: Body) -> Float[Tensor, "j 4"]:
    """Rotations of the joints with signs that agree along every bone, so that neighbours may be averaged."""
    quats = quats_from_matrices(body.posed_from_rest[:, :3, :3])
    parents = torch.tensor(body.parents, device=quats.device).clamp(min=0)
    signs = [1.0 if agrees else -1.0 for agrees in ((quats * quats[parents]).sum(-1) >= 0).tolist()]
    for joint, parent in enumerate(body.parents[1:], start=1):
        signs[joint] *= signs[parent]
    return quats * quats.new_tensor(signs)[:, None]


def _dual_quaternion(
    points: Float[Tensor, "n 3"], weights: SkinWeights, body: Body, quats: Float[Tensor, "j 4"]
) -> Float[Tensor, "n 3"]:
    dual_quats = dual_quats_from_rigid(body.posed_from_rest)
    same_sign = (dual_quats[:, :4] * quats).sum(1, keepdim=True).sign()
    ids, values = weights.influences
    blended = sum_weighted_rows(dual_quats * same_sign, ids.long(), values)
    blended = blended / torch.linalg.vector_norm(blended[:, :4], dim=1, keepdim=True).clamp(min=1e-8)
    return rotate_points(blended[:, :4], points) + translations_from_dual_quats(blended)


def skin_mesh(mesh: Mesh, body: Body, skinning: Skinning) -> Mesh:
    """A mesh with the body's own vertices in the pose of ``body``."""
    unturned = mesh.vertices.new_tensor([1.0, 0, 0, 0]).expand(len(mesh.vertices), 4)
    rest = Skinnable(mesh.vertices, unturned, torch.zeros_like(mesh.vertices))
    return replace(mesh, vertices=skin(rest, SkinWeights.of_vertices(body), body, skinning).points)
