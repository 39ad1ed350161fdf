"""Names for the places on a body, so that a finding can say where."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import BodyModel
from avatar.render import view_mesh
from avatar.structs import Body, Camera

_LIMBS = {
    "upper arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
}
_ENDS = ("hand", "foot")
PARTS = ("head", "torso", *(f"{side} {name}" for name in (*_LIMBS, *_ENDS) for side in ("left", "right")))
"""The parts; left is the person's left."""


def part_of_vertices(body: BodyModel, vertices_rest: Float[Tensor, "v 3"]) -> Int[Tensor, " v"]:
    """Index into ``PARTS`` of every vertex of a body at rest.

    Head, hands and feet are the model's own; the rest belongs to the nearest bone between the keypoints.
    """
    keypoints = dict(zip(body.keypoint_names, body.keypoint_weights @ vertices_rest, strict=True))
    bones = [("torso", (_between(keypoints, side, "shoulder"), _between(keypoints, side, "hip"))) for side in _SIDES]
    bones += [
        (f"{side} {limb}", (keypoints[f"{side}_{upper}"], keypoints[f"{side}_{lower}"]))
        for limb, (upper, lower) in _LIMBS.items()
        for side in _SIDES
    ]
    distances = torch.stack([_distance_to_segment(vertices_rest, *ends) for _, ends in bones])
    names = torch.tensor([PARTS.index(name) for name, _ in bones], device=vertices_rest.device)
    parts = names[distances.argmin(0)]
    for index, name in enumerate(body.part_names):
        part = _own_part(name)
        if part is not None:
            parts[body.rig.faces[body.face_parts == index].unique()] = PARTS.index(part)
    return parts


def seen_triangles(body: Body, camera: Camera) -> Int[Tensor, "h w"]:
    """Which triangle of the naked body each pixel sees, -1 beside it; on the CPU."""
    return view_mesh(body.vertices_world.cpu(), body.rest.faces.cpu(), camera).raster.triangles


_SIDES = ("left", "right")


def _own_part(name: str) -> str | None:
    """Which of ``PARTS`` a region of the model is, if it is one."""
    if name == "body":
        return None
    kind, _, side = name.partition(".")
    return f"{'left' if side == 'L' else 'right'} {kind}" if kind in _ENDS else "head"


def _between(keypoints: dict[str, Tensor], side: str, name: str) -> Tensor:
    """A point of the torso's edge, drawn in by 0.4 of the way to the middle: the limb begins beside it."""
    other = "right" if side == "left" else "left"
    return 0.8 * keypoints[f"{side}_{name}"] + 0.2 * keypoints[f"{other}_{name}"]


def _distance_to_segment(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    axis = end - start
    along = ((points - start) @ axis / axis.square().sum()).clamp(0, 1)
    return torch.linalg.vector_norm(points - start - along[:, None] * axis, dim=-1)
