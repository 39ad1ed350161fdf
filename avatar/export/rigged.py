"""A person as programs for animation know one: a textured mesh on a skeleton, and a motion of it.

Both are y up, as in glTF and USD: a person at rest, facing -y in our world, faces +z.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import clothed_surface
from avatar.geometry import SH_C0, conjugate_quats, multiply_quats, quats_from_matrices, vertex_normals
from avatar.model import HybridAvatar
from avatar.structs import Mesh, Motion

from .axes import Y_UP_FROM_WORLD
from .texture import BakeConfig, bake_texture

MAX_INFLUENCES = 4  # what every program reads


@dataclass(frozen=True, kw_only=True, eq=False)
class RiggedMesh:
    """A mesh at rest and the skeleton that moves it by linear blend skinning; y up, metres.

    Attributes:
        vertices: split where texture coordinates are.
        normals: unit, smooth over such splits.
        uv: texture coordinates in [0, 1], v upwards.
        faces: three vertices a triangle, counter-clockwise seen from outside.
        joint_ids: which joints move each vertex, the strongest first; 0 where unused.
        joint_weights: how much; rows sum to one.
        joint_names, parents: of the skeleton; a parent, -1 for the root, comes before its children.
        joints: their places at rest, where none is turned.
        texture: sRGB, its first row at v = 1.
    """

    vertices: Float32[np.ndarray, "v 3"]
    normals: Float32[np.ndarray, "v 3"]
    uv: Float32[np.ndarray, "v 2"]
    faces: Int64[np.ndarray, "t 3"]
    joint_ids: Int64[np.ndarray, "v 4"]
    joint_weights: Float32[np.ndarray, "v 4"]
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: Float32[np.ndarray, "j 3"]
    texture: UInt8[np.ndarray, "h w 3"]

    @property
    def joint_offsets(self) -> Float32[np.ndarray, "j 3"]:
        """Place of each joint against its parent, of the root in the world."""
        above = self.joints[list(self.parents)]
        above[0] = 0
        return self.joints - above


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMotion:
    """What the joints of a ``RiggedMesh`` do over time; y up.

    Attributes:
        times_s: ascending, from 0.
        quats: rotation of each joint against its parent, unit ``wxyz``; from time to time never the long way round.
        root: place of the root joint, metres.
    """

    times_s: Float64[np.ndarray, " f"]
    quats: Float32[np.ndarray, "f j 4"]
    root: Float32[np.ndarray, "f 3"]


@torch.no_grad()
def rigged_mesh(avatar: HybridAvatar, config: BakeConfig | None = None) -> RiggedMesh:
    """The avatar in its clothes, at rest, with the look of its Gaussians as its texture: seconds of work."""
    template, rig = avatar.template, load_body(avatar.rig).rig
    body = avatar.body(avatar.shape, load_body(avatar.rig).shaped(avatar.shape).rest_pose())
    assert template.uv is not None
    assert template.uv_faces is not None
    surface = clothed_surface(avatar.canonical)
    colors = (surface.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1)
    mesh = Mesh(vertices=surface.means, faces=template.faces, uv=template.uv, uv_faces=template.uv_faces, colors=colors)
    texture = bake_texture(avatar.canonical(), mesh, config)
    pairs = torch.stack([template.faces, template.uv_faces], 2).flatten(0, 1)
    pairs, corners = torch.unique(pairs, dim=0, return_inverse=True)
    of_vertex, of_uv = pairs.unbind(1)
    strongest = body.bone_weights.topk(MAX_INFLUENCES)
    weights = strongest.values / strongest.values.sum(1, keepdim=True)
    ids = body.bone_ids.gather(1, strongest.indices).where(weights > 0, 0)
    turn = mesh.vertices.new_tensor(Y_UP_FROM_WORLD).mT
    return RiggedMesh(
        vertices=(mesh.vertices @ turn)[of_vertex].numpy(),
        normals=(vertex_normals(mesh.vertices, mesh.faces) @ turn)[of_vertex].numpy(),
        uv=template.uv[of_uv].numpy(),
        faces=corners.view(-1, 3).numpy(),
        joint_ids=ids[of_vertex].numpy(),
        joint_weights=weights[of_vertex].numpy(),
        joint_names=rig.joint_names,
        parents=rig.parents,
        joints=(body.joints_rest @ turn).numpy(),
        texture=texture,
    )


@torch.no_grad()
def joint_motion(avatar: HybridAvatar, motion: Motion) -> JointMotion:
    """The avatar's own joints in a motion: with what it learnt of the poses, in the axes of its ``rigged_mesh``."""
    poses = [avatar.refinement.pose(pose) for pose in motion.captured()]
    quats = torch.stack([pose.local_quats for pose in poses])
    roots = torch.stack([pose.root_position_world for pose in poses])
    turn = roots.new_tensor(Y_UP_FROM_WORLD)
    quat = quats_from_matrices(turn)
    quats = multiply_quats(multiply_quats(quat.expand_as(quats), quats), conjugate_quats(quat).expand_as(quats))
    times = (np.array(motion.frame_ids) - motion.frame_ids[0]) / motion.frame_rate_hz
    return JointMotion(times_s=times, quats=_same_side(quats).numpy(), root=(roots @ turn.mT).numpy())


def _same_side(quats: Tensor) -> Tensor:
    """The same rotations with signs such that each is on the side of the one before."""
    agrees = (quats[1:] * quats[:-1]).sum(-1, keepdim=True) >= 0
    flips = torch.where(agrees, 1.0, -1.0).cumprod(0)
    return torch.cat([quats[:1], quats[1:] * flips])
