"""A first person and first poses from triangulated landmarks: lengths of bones, then their directions."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from avatar.descent import lbfgs
from avatar.geometry import axis_angles_from_quats, matrices_from_axis_angles, nearest_rotations, quats_from_matrices

from ..skeleton import BONES, NAMES, TORSO
from .estimate import Estimate, Template
from .freedoms import hinge
from .solve import TOLERANCE

_LENGTH_ERROR_M, _SHAPE_SPREAD = 0.02, 0.25
_HEAD = [NAMES.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
_NECK = ("neck01", "neck02", "neck03", "head")
_MIN_LANDMARKS = 10
# Landmarks of a limb, and the joints that turn its two bones.
_LIMBS = {
    "arm": (("shoulder", "elbow", "wrist"), ("upperarm01", "lowerarm01")),
    "leg": (("hip", "knee", "ankle"), ("upperleg01", "lowerleg01")),
}


def is_enough(points_world: Float[Tensor, "f 33 3"]) -> Bool[Tensor, " f"]:
    """Frames in which so many landmarks are known that a pose follows from them."""
    is_known = points_world.isfinite().all(dim=-1)
    return (is_known.sum(1) >= _MIN_LANDMARKS) & (is_known[:, TORSO].sum(1) >= 3)


def start(template: Template, points_world: Float[Tensor, "f 33 3"]) -> Estimate:
    """The person whose bones are as long, in poses whose bones have the same directions.

    Landmarks that are not known in a frame are taken from the frames around it.
    """
    points = filled(points_world)
    middle = template.body.default_shape().values
    shape = _shape_of_lengths(template, middle, points_world)
    rest = template.markers.rest(template.body.shape_space.coefficients(template.shape(shape)))
    torso = aligned(rest[TORSO], points[:, TORSO])
    names = [template.body.joint_names[joint] for joint in template.freedoms.joints.tolist()]
    turns = {name: torch.zeros(len(points), 3) for name in names}
    for (joints, bones), side in ((limb, side) for limb in _LIMBS.values() for side in ("left", "right")):
        rows = [NAMES.index(f"{side}_{joint}") for joint in joints]
        upper, lower = (f"{bone}.{side[:1].upper()}" for bone in bones)
        axis = template.freedoms.axes[names.index(lower), 0]
        turns[upper], turns[lower] = _limb(rest[rows], axis, points[:, rows], torso)
    head = torso.mT @ aligned(rest[_HEAD], points[:, _HEAD])
    turns |= dict.fromkeys(_NECK, _turns(head) / len(_NECK))
    estimate = Estimate(
        shape=shape,
        offsets=torch.zeros_like(rest),
        root_quats=quats_from_matrices(torso),
        root_positions=torch.zeros(len(points), 3),
        turns=torch.stack([turns[name] for name in names], dim=1),
    )
    shifts = (points - template.posed(estimate).markers)[:, TORSO].mean(1)
    return replace(estimate, root_positions=shifts)


def filled(points_world: Float[Tensor, "f 33 3"]) -> Float[Tensor, "f 33 3"]:
    """Float32 points with those between known ones where a landmark is not known; zero where it never is."""
    points = points_world.double().flatten(1).numpy().copy()
    times = np.arange(len(points))
    for track in points.T:
        known = np.isfinite(track)
        track[~known] = np.interp(times[~known], times[known], track[known]) if known.any() else 0.0
    return torch.from_numpy(points).float().view(points_world.shape)


def aligned(
    rest: Float[Tensor, "n 3"], points: Float[Tensor, "f n 3"], weights: Float[Tensor, "f n"] | None = None
) -> Float[Tensor, "f 3 3"]:
    """Rotations that best turn points about their mean into others (Kabsch 1976); without mean if there are weights."""
    if weights is None:
        rest, points = rest - rest.mean(0), points - points.mean(1, keepdim=True)
    weighted = points if weights is None else points * weights[..., None]
    return nearest_rotations(weighted.mT @ rest.expand_as(points))


def _limb(
    rest: Float[Tensor, "3 3"],
    axis: Float[Tensor, "3"],
    points: Float[Tensor, "f 3 3"],
    trunk: Float[Tensor, "f 3 3"],
) -> tuple[Float[Tensor, "f 3"], Float[Tensor, "f 3"]]:
    """Turns of the two bones of a limb against the trunk and against each other.

    The upper bone is turned about itself as the lower one tells by bending about the ``axis``: the more, the surer.
    """
    bones = normalize(rest.diff(dim=0), dim=1)
    seen, bend = normalize(points.diff(dim=1), dim=2), hinge(*points.unbind(1))
    carried = trunk @ _shortest(bones[0], (trunk.mT @ seen[:, 0, :, None])[..., 0])
    targets = torch.stack([seen[:, 0], bend, carried @ axis], dim=1)
    weights = torch.tensor([1.0, 1.0, 0.1]).expand(len(points), 3)
    upper = aligned(torch.stack([bones[0], axis, axis]), targets, weights)
    targets = torch.stack([seen[:, 1], upper @ axis], dim=1)
    lower = aligned(torch.stack([bones[1], axis]), targets, weights[:, :2])
    return _turns(trunk.mT @ upper), _turns(upper.mT @ lower)


def _shortest(start: Float[Tensor, "3"], ends: Float[Tensor, "f 3"]) -> Float[Tensor, "f 3 3"]:
    """The smallest rotations from one unit direction to others."""
    axes = torch.linalg.cross(start.expand_as(ends), ends)
    sines, cosines = torch.linalg.vector_norm(axes, dim=1, keepdim=True), ends @ start[:, None]
    angles = torch.atan2(sines, cosines)
    return matrices_from_axis_angles(normalize(axes, dim=1) * angles)


def _turns(rotations: Float[Tensor, "f 3 3"]) -> Float[Tensor, "f 3"]:
    return axis_angles_from_quats(quats_from_matrices(rotations))


def _shape_of_lengths(
    template: Template, middle: Float[Tensor, " p"], points_world: Float[Tensor, "f 33 3"]
) -> Float[Tensor, " p"]:
    """The shape whose bones are as long as the median of those that are known, near the middle of all people."""
    start, end = torch.tensor(BONES).T
    lengths = torch.linalg.vector_norm(points_world[:, start] - points_world[:, end], dim=-1).nanmedian(dim=0).values
    lengths, is_known = lengths.nan_to_num().float(), lengths.isfinite()
    values = middle.clone().requires_grad_()

    def cost() -> Float[Tensor, ""]:
        rest = template.markers.rest(template.body.shape_space.coefficients(template.shape(values)))
        errors = torch.linalg.vector_norm(rest[start] - rest[end], dim=-1) - lengths
        surprise = ((values - middle) / _SHAPE_SPREAD).square().sum()
        return ((errors / _LENGTH_ERROR_M).square() * is_known).sum() + surprise

    lbfgs(cost, [values], 40, TOLERANCE)
    return template.shape(values.detach()).values
