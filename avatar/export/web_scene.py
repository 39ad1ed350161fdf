"""An avatar and its motions as the web viewer takes them: one safetensors file each, whose tensors go to the GPU as is.

The page evaluates the same equations as ``avatar.deform``: kinematics and the coefficients of the correctives on the
CPU, everything that is per Gaussian on the GPU. What does not depend on the pose is worked out here. Names of tensors:

======================================  ================================================================================
``joints_rest``                         ``j 3``, metres
``splats.*``, ``surface.*``             points that follow the body: the Gaussians, and the vertices of the clothed mesh
``*.means`` ``.normals``                canonical frame, metres; unit
``*.joint_ids`` ``.joint_weights``      the joints that move each point, the strongest first
``*.corner_ids`` ``.corner_weights``    where it is rooted on the template's vertices, which the shape moves
``*.control_ids`` ``.control_weights``  the control points of the correctives around it
``*.node_ids`` ``.node_weights``        the nodes of the control graph around it
``*.dqs_fractions``                     where skinning is between linear (0) and dual-quaternion (1)
``*.sh``                                ``n k 3``; of the surface the constant one alone
``splats.quats/scales/opacities``       as in ``Gaussians``, unit quaternions
``surface.faces``                       triangles
``correctives.modes``                   ``m p 6``: offset in metres and sRGB for a coefficient of one
``pose.*``                              what gives the coefficients for a pose: see ``FrameRegression``
``graph.nodes`` ``graph.modes``         ``m p 12``: shift in metres, rotation vector in radians, strain
``light.*``                             of ``NormalLight`` or ``LightField``
``shape.low/high(_joints)``             what moving one shape parameter to its end adds to the template and the joints
======================================  ================================================================================
"""

import json

import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import clothed_surface
from avatar.deform import Blended, Correctives, Deformer, DualQuaternion, LearnedMix, LightField, Linear
from avatar.geometry import dense_weights, normalize_quats
from avatar.model import HybridAvatar
from avatar.structs import Body, Gaussians, Motion, Shape

FORMAT = "avatar web 1"
MOST_JOINTS, MOST_NODES = 8, 8  # that move a point; the weights of others are shared out among them
SHAPE_REACH = 0.3  # how far a shape parameter can be moved


@torch.no_grad()
def web_scene(avatar: HybridAvatar, name: str) -> bytes:
    """Everything the page needs to show the avatar in any pose; ``name`` is what it is called there."""
    canonical, deform = avatar.canonical(), avatar.deform
    surface = clothed_surface(avatar.canonical)
    body = avatar.body(avatar.shape, avatar.poses[0])
    tensors = {
        "joints_rest": body.joints_rest,
        **_points("splats", canonical, avatar, body),
        "splats.quats": normalize_quats(canonical.quats),
        "splats.scales": canonical.scales,
        "splats.opacities": canonical.opacities,
        "splats.sh": canonical.sh,
        **_points("surface", surface, avatar, body),
        "surface.sh": surface.sh[:, :1],
        "surface.faces": avatar.template.faces,
        **_motion_tensors(deform),
    }
    shape, ranges = _shape_tensors(avatar)
    description = {
        "format": FORMAT,
        "name": name,
        "rig": avatar.rig,
        "joint_names": load_body(avatar.rig).joint_names,
        "parents": body.parents,
        "covariance": deform.config.covariance,
        "light": {type(None): "none", LightField: "field"}.get(type(deform.light), "normal"),
        "feature_limit": deform.correctives.config.feature_limit if deform.correctives else 0.0,
        "feature_reach": deform.correctives.regression.reach if deform.correctives else 0.0,
        "shape": ranges,
    }
    return _file({**tensors, **shape}, description)


@torch.no_grad()
def web_motion(avatar: HybridAvatar, motion: Motion, name: str, notes: list[str] | None = None) -> bytes:
    """A motion as the avatar makes it, refinement and frame codes included; ``notes`` are lines for its user."""
    correctives = avatar.deform.correctives
    poses = [avatar.refinement.pose(pose.to(avatar.device)) for pose in motion.captured()]
    tensors = {
        "local_quats": torch.stack([pose.local_quats for pose in poses]),
        "root_position_world": torch.stack([pose.root_position_world for pose in poses]),
        "times_s": (torch.tensor(motion.frame_ids) - motion.frame_ids[0]) / motion.frame_rate_hz,
    }
    if correctives is not None:
        tensors["coefficients"] = torch.stack([correctives.coefficients(pose) for pose in poses])
    description = {"format": FORMAT, "name": name, "frame_ids": motion.frame_ids, "notes": notes or []}
    return _file(tensors, {**description, "frame_rate_hz": motion.frame_rate_hz, "is_own": motion.is_own})


def _file(tensors: dict[str, Tensor], description: dict) -> bytes:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = {name: tensor.int() if tensor.dtype == torch.int64 else tensor for name, tensor in plain.items()}
    return save(plain, {"avatar": json.dumps(description)})


def _points(prefix: str, points: Gaussians, avatar: HybridAvatar, body: Body) -> dict[str, Tensor]:
    """What moves points that are bound to the template."""
    binding, deform = points.binding, avatar.deform
    assert binding is not None
    joints = dense_weights(body.bone_ids, body.bone_weights, len(body.parents))
    joint_ids, joint_weights = _strongest(binding.from_vertices(joints), MOST_JOINTS)
    found = {
        "means": points.means,
        "normals": binding.normals,
        "joint_ids": joint_ids.to(torch.uint8),
        "joint_weights": joint_weights,
        "corner_ids": binding.template.faces[binding.triangles],
        "corner_weights": binding.barycentrics,
        "dqs_fractions": _dqs_fractions(deform, points),
    }
    if deform.correctives is not None:
        found["control_ids"], found["control_weights"] = deform.correctives.influences(binding)
    if deform.graph is not None:
        nodes = deform.graph.to_vertices(torch.eye(len(deform.graph.nodes)).to(points.means))
        found["node_ids"], found["node_weights"] = _strongest(binding.from_vertices(nodes), MOST_NODES)
    return {f"{prefix}.{name}": tensor for name, tensor in found.items()}


def _strongest(weights: Float[Tensor, "n m"], count: int) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
    strongest = weights.topk(min(count, weights.shape[1]))
    return strongest.indices, strongest.values / strongest.values.sum(1, keepdim=True)


def _dqs_fractions(deform: Deformer, points: Gaussians) -> Float[Tensor, " n"]:
    match deform.config.skinning:
        case LearnedMix():
            assert deform.mix_logits is not None
            assert points.binding is not None
            return points.binding.from_vertices(deform.mix_logits[:, None])[:, 0].sigmoid()
        case Linear():
            fraction = 0.0
        case DualQuaternion():
            fraction = 1.0
        case Blended(dqs_fraction=fraction):
            pass
    return torch.full_like(points.means[:, 0], fraction)


def _motion_tensors(deform: Deformer) -> dict[str, Tensor]:
    tensors = {f"light.{name}": tensor for name, tensor in deform.light.state_dict().items()} if deform.light else {}
    if deform.correctives is not None:
        tensors |= _corrective_tensors(deform.correctives)
    if deform.graph is not None:
        tensors |= {"graph.nodes": deform.graph.nodes, "graph.modes": deform.graph.scaled_modes()}
    return tensors


def _corrective_tensors(correctives: Correctives) -> dict[str, Tensor]:
    regression = correctives.regression
    features = regression.features
    return {
        "correctives.modes": correctives.scaled_modes(),
        "pose.mean_quats": features.mean_quats,
        "pose.mean": features.mean,
        "pose.directions": features.directions / features.spread[:, None],
        "pose.known_features": regression.known_features,
        "pose.inverse": regression.by_pose,
        "pose.pivots": correctives.encoder(regression.known_features) + correctives.codes,
    }


def _shape_tensors(avatar: HybridAvatar) -> tuple[dict[str, Tensor], list[dict]]:
    """What every shape parameter does alone, each way, and how far it goes."""
    body, ranges = load_body(avatar.rig), []
    space, person = body.shape_space, body.shaped(avatar.shape)
    tensors: dict[str, list[Tensor]] = {"low": [], "high": [], "low_joints": [], "high_joints": []}
    for row, name in enumerate(avatar.shape.names):
        value, known = float(avatar.shape.values[row]), space.names.index(name)
        ends = {
            "low": max(float(space.low[known]), value - SHAPE_REACH),
            "high": min(float(space.high[known]), value + SHAPE_REACH),
        }
        ranges.append({"name": name, "value": value, **ends})
        for end, there in ends.items():
            values = avatar.shape.values.clone()
            values[row] = there
            moved = body.shaped(Shape(names=avatar.shape.names, values=values))
            tensors[end].append((moved.rest.vertices - person.rest.vertices).half())
            tensors[f"{end}_joints"].append(moved.joints_rest - person.joints_rest)
    return {f"shape.{name}": torch.stack(rows) for name, rows in tensors.items()}, ranges
