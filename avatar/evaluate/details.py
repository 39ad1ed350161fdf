"""Close-ups: face, hands, sleeves and hem, where a soft fit shows first, beside the ground truth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.functional import normalize

from avatar.body import BodyModel, load_body
from avatar.geometry import triangle_normals
from avatar.model import Avatar
from avatar.structs import Box, Capture, Mesh, map_tensors

from .body_parts import PARTS, part_of_vertices, seen_triangles
from .gallery import Example
from .metrics import foreground_box

MARGIN_PX = 6  # and a sixth of the size
MIN_PIXELS = 120  # fewer visible ones are not worth a look
HEM_M = (0.14, 0.06)  # below and above the hips
FRONTAL = -0.3  # y of the normals of what looks at somebody in front


@torch.no_grad()
def with_details(avatar: Avatar, capture: Capture, examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples of one split with close-ups: each place in the picture that shows most of it, if any does."""
    places = _places(load_body(avatar.rig), map_tensors(avatar.template, Tensor.cpu))
    found = [_boxes(avatar, capture, example, places) for example in examples]
    details: list[dict[str, Box]] = [{} for _ in examples]
    for name in places:
        sizes = [boxes[name][0] if name in boxes else 0 for boxes in found]
        if max(sizes, default=0) >= MIN_PIXELS:
            best = sizes.index(max(sizes))
            details[best][name] = found[best][name][1]
    return tuple(replace(example, details=boxes) for example, boxes in zip(examples, details, strict=True))


def _boxes(
    avatar: Avatar, capture: Capture, example: Example, places: Mapping[str, Bool[Tensor, " t"]]
) -> dict[str, tuple[int, Box]]:
    """How many pixels show each place, and the rectangle around them."""
    pose = capture.pose(example.result.frame_id).to(avatar.device)
    seen = seen_triangles(avatar.body(avatar.shape, pose), capture.cameras[example.result.camera_id])
    found = {}
    for name, is_place in places.items():
        is_shown = (seen >= 0) & is_place[seen.clamp(min=0)]
        box = foreground_box(is_shown)
        if box:
            margin_px = MARGIN_PX + max(box.height, box.width) // 6
            found[name] = int(is_shown.sum()), box.padded(margin_px, *is_shown.shape)
    return found


def _places(body: BodyModel, rest: Mesh) -> Mapping[str, Bool[Tensor, " t"]]:
    """The triangles of each place worth a close look."""
    parts = part_of_vertices(body, rest.vertices)[rest.faces[:, 0]]
    heights = rest.vertices[rest.faces[:, 0], 2]
    hips = [body.keypoint_names.index(f"{side}_hip") for side in ("left", "right")]
    hip_height = float((body.keypoint_weights[hips] @ rest.vertices)[:, 2].mean())

    def is_part(*names: str) -> Bool[Tensor, " t"]:
        return torch.isin(parts, torch.tensor([PARTS.index(name) for name in names]))

    is_frontal = normalize(triangle_normals(rest.vertices, rest.faces), dim=-1)[:, 1] < FRONTAL
    is_hem = (heights > hip_height - HEM_M[0]) & (heights < hip_height + HEM_M[1])
    sides = ("left", "right")
    return {
        "face": is_part("head") & is_frontal,
        **{f"{side} hand": is_part(f"{side} hand") for side in sides},
        **{f"{side} sleeve": is_part(f"{side} upper arm") for side in sides},
        "hem": is_part("torso", "left thigh", "right thigh") & is_hem,
    }
