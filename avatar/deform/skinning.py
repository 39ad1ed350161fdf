"""Gaussians and mesh vertices follow the body's joints."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import Covariance, Influences, Skinnable, skin_points
from avatar.engine import skin as engine_skin
from avatar.geometry import dense_weights, interpolate, quats_from_matrices
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


@dataclass(frozen=True, kw_only=True)
class LearnedMix:
    """Every vertex of the template finds its own place between linear and dual-quaternion skinning.

    The hybrid of DreamMesh4D (Li et al. 2024), for joints, and without the offset that kept its nodes from ever
    becoming rigid.

    Attributes:
        initial_dqs_fraction: where all start, between 0 and 1; near 1 twists keep their volume until pictures object.
    """

    initial_dqs_fraction: float = 0.99

    def __post_init__(self) -> None:
        if not 0 < self.initial_dqs_fraction < 1:
            raise ValueError(
                f"LearnedMix.initial_dqs_fraction: expected more than 0, less than 1, got {self.initial_dqs_fraction}"
            )


Skinning = Linear | DualQuaternion | Blended | LearnedMix


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
        most = int(dense.sign().sum(1).max())  # ten times faster than counting truths
        strongest = dense.topk(most)
        return cls(influences=Influences(strongest.indices.int(), strongest.values))


def skin(
    rest: Skinnable,
    weights: SkinWeights,
    body: Body,
    skinning: Skinning | Float[Tensor, " n"],
    covariance: Covariance = "rotation",
) -> Skinnable:
    """Points, rotations and normals from the canonical pose to the pose of ``body``, world metres.

    In place of a kind of skinning, a tensor gives each point's fraction of the dual-quaternion one. Normals turn by the
    mean of the joints' quaternions in every variant; so does all else, unless ``covariance`` is ``"jacobian"``.
    """
    fraction = _dqs_fraction(skinning)
    return engine_skin(rest, weights.influences, _joint_rows(body), dqs_fraction=fraction, covariance=covariance)


def skin_mesh(mesh: Mesh, body: Body, skinning: Skinning | Float[Tensor, " v"]) -> Mesh:
    """A mesh with the body's own vertices in the pose of ``body``."""
    influences = SkinWeights.of_vertices(body).influences
    fraction = _dqs_fraction(skinning)
    return replace(mesh, vertices=skin_points(mesh.vertices, influences, _joint_rows(body), dqs_fraction=fraction))


def _dqs_fraction(skinning: Skinning | Tensor) -> float | Tensor:
    match skinning:
        case Tensor():
            return skinning
        case Linear():
            return 0.0
        case DualQuaternion():
            return 1.0
        case Blended(dqs_fraction=fraction) | LearnedMix(initial_dqs_fraction=fraction):
            return fraction


def _joint_rows(body: Body) -> Float[Tensor, "j 16"]:
    return torch.cat([body.posed_from_rest[:, :3].flatten(1), _joint_quats(body)], 1)


def _joint_quats(body: Body) -> Float[Tensor, "j 4"]:
    """Rotations of the joints with signs that agree along every bone, so that neighbours may be averaged."""
    quats = quats_from_matrices(body.posed_from_rest[:, :3, :3])
    parents = torch.tensor(body.parents, device=quats.device).clamp(min=0)
    signs = [1.0 if agrees else -1.0 for agrees in ((quats * quats[parents]).sum(-1) >= 0).tolist()]
    for joint, parent in enumerate(body.parents[1:], start=1):
        signs[joint] *= signs[parent]
    return quats * quats.new_tensor(signs)[:, None]
