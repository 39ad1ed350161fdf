"""Where BlazePose's landmarks are on Anny's body."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import AnnyBody
from avatar.body.shape_space import BlendShapes
from avatar.geometry import transform_points

from ..skeleton import MIRROR, NAMES

# Landmark without its side: the bone that carries it; the joint, or else the keypoint of COCO, that it is near; how far
# beside that it is at rest (away from the middle, back, up), metres: where the network put them, on average, on two
# synthetic people in shoes, rounded.
_PLACES: Final = {
    **{"nose": ("head", "nose", (0, 0, 0)), "mouth": ("head", "nose", (0.025, 0.02, -0.035))},
    **{"eye_inner": ("head", "eye", (-0.014, 0, 0)), "eye": ("head", "eye", (0, 0, 0))},
    **{"eye_outer": ("head", "eye", (0.014, 0, 0)), "ear": ("head", "ear", (-0.02, -0.02, 0.01))},
    **{
        "shoulder": ("upperarm01", "upperarm01", (-0.02, 0, 0.015)),
        "elbow": ("lowerarm01", "lowerarm01", (0, -0.02, -0.01)),
    },
    **{"wrist": ("wrist", "wrist", (0, -0.015, -0.01)), "thumb": ("wrist", "finger1-2", (0.025, 0, -0.015))},
    **{"pinky": ("wrist", "finger5-1", (0, -0.005, 0.03)), "index": ("wrist", "finger2-1", (0, 0.015, 0))},
    **{
        "hip": ("upperleg01", "upperleg01", (-0.02, -0.015, -0.02)),
        "knee": ("lowerleg01", "lowerleg01", (0, 0.02, -0.01)),
    },
    **{"ankle": ("foot", "foot", (0, -0.02, 0)), "heel": ("foot", "heel", (0, 0, -0.025))},
    "foot_index": ("foot", "big_toe", (0, 0.02, -0.02)),
}
_OWN: Final = 0.75  # share of a landmark's offset that is its own, not that of the other side
_IN_THE_MIDDLE: Final = ("head",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Markers:
    """A point of the body for every landmark.

    Attributes:
        bones: the joint whose bone carries each.
        rest: their places at rest by shape, metres.
    """

    bones: Int[Tensor, "33"]
    rest: BlendShapes

    @classmethod
    def of(cls, body: AnnyBody) -> "Markers":
        """Those of Anny on its own skeleton."""
        found = [_marker(body, name) for name in NAMES]
        return cls(
            bones=torch.tensor([body.joint_names.index(bone) for bone, _, _ in found]),
            rest=BlendShapes(
                base=torch.stack([base for _, base, _ in found]),
                directions=torch.stack([directions for _, _, directions in found], dim=1),
            ),
        )

    def posed(
        self,
        rest: Float[Tensor, "33 3"],
        offsets: Float[Tensor, "33 3"],
        posed_from_rest: Float[Tensor, "f j 4 4"],
    ) -> Float[Tensor, "f 33 3"]:
        """World metres of the markers, ``offsets`` beside where they are at rest (the model's axes)."""
        return transform_points(posed_from_rest[:, self.bones], (rest + evened(offsets)))


def evened(offsets: Float[Tensor, "33 3"]) -> Float[Tensor, "33 3"]:
    """Offsets that are more like those of the other side: what a landmark is taken for is alike on both, nearly."""
    return torch.lerp(offsets[list(MIRROR)] * offsets.new_tensor([-1.0, 1.0, 1.0]), offsets, _OWN)


def _marker(body: AnnyBody, name: str) -> tuple[str, Tensor, Tensor]:
    words = name.split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    bone, near, (left, back, up) = _PLACES["_".join(word for word in words if word != side)]
    bone = bone if bone in _IN_THE_MIDDLE else f"{bone}.{side[:1].upper()}"
    shift = body.vertices.base.new_tensor([-left if side == "right" else left, back, up])
    joint, keypoint = f"{near}.{side[:1].upper()}", f"{side}_{near}".strip("_") if near != "nose" else near
    if joint in body.joint_names:
        row = body.joint_names.index(joint)
        return bone, body.joints.base[row] + shift, body.joints.directions[:, row]
    weights = body.keypoint_weights[body.keypoint_names.index(keypoint)]
    return bone, weights @ body.vertices.base + shift, weights @ body.vertices.directions
