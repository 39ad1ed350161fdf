"""How far a person's joints turn: the degrees of freedom of Anny's skeleton that a fit has, and what is usual.

Fingers, toes, eyes, pelvis halves and the second bones of thigh, shank and upper arm stay as they are at rest.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.body import AnnyBody

_BENT, _HARDNESS = math.inf, math.radians(3.0)
# Joint: usual turns in degrees about its three axes, then the range about the first. Axes of trunk and legs are the
# body's left, back and up; of arms the one that the elbow bends about, the one across, and the one along the bone.
_TRUNK = {
    **{f"spine0{i}": (10, 7, 7) for i in (5, 4, 3, 2, 1)},
    **{f"neck0{i}": (8, 6, 8) for i in (1, 2, 3)},
    "head": (10, 8, 10),
}
_LEG = {
    "upperleg01": (40, 20, 20, -140, 50),
    "lowerleg01": (60, 3, 5, -12, 140),
    "foot": (20, 12, 10, -45, 55),
}
_ARM = {
    "clavicle": (6, 6, 6),
    "shoulder01": (10, 10, 6),
    "upperarm01": (50, 50, 40),
    "lowerarm01": (60, 15, 8, -50, 115),
    "lowerarm02": (2, 2, 30),
    "wrist": (15, 12, 12),
}
_BONE_ENDS = {"clavicle": "upperarm01", "shoulder01": "upperarm01", "upperarm01": "lowerarm01", "wrist": "finger3-1"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Freedoms:
    """The joints that turn.

    Attributes:
        joints: rows of them; a turn is a rotation vector from rest in the model's axes, radians.
        axes: the three anatomical axes of each, a row each.
        spreads: the usual turn about each, radians.
        low, high: the range about the first axis.
    """

    joints: Int[Tensor, " a"]
    axes: Float[Tensor, "a 3 3"]
    spreads: Float[Tensor, "a 3"]
    low: Float[Tensor, " a"]
    high: Float[Tensor, " a"]

    @classmethod
    def of(cls, body: AnnyBody) -> "Freedoms":
        """Those of Anny's own skeleton."""
        places = dict(zip(body.joint_names, body.shaped(body.default_shape()).joints_rest, strict=True))
        table = {name: (numbers, torch.eye(3)) for name, numbers in _TRUNK.items()}
        for side in ("L", "R"):
            table |= {f"{name}.{side}": (numbers, torch.eye(3)) for name, numbers in _LEG.items()}
            table |= {f"{name}.{side}": (numbers, _arm_axes(places, name, side)) for name, numbers in _ARM.items()}
        rows = [numbers if len(numbers) == 5 else (*numbers, -_BENT, _BENT) for numbers, _ in table.values()]
        radians = torch.deg2rad(torch.tensor(rows, dtype=torch.float32))
        return cls(
            joints=torch.tensor([body.joint_names.index(name) for name in table]),
            axes=torch.stack([axes for _, axes in table.values()]),
            spreads=radians[:, :3],
            low=radians[:, 3],
            high=radians[:, 4],
        )

    def unusualness(self, turns: Float[Tensor, "f a 3"]) -> Float[Tensor, "f a 3"]:
        """The turns about the anatomical axes by what is usual."""
        return (self.axes @ turns[..., None])[..., 0] / self.spreads

    def surprise(self, turns: Float[Tensor, "f a 3"]) -> Float[Tensor, " f"]:
        """Sum of squares of the turns by what is usual, and of what is beyond the range by three degrees."""
        along = (self.axes @ turns[..., None])[..., 0]
        beyond = (self.low - along[..., 0]).clamp_min(0) + (along[..., 0] - self.high).clamp_min(0)
        return (along / self.spreads).square().sum((1, 2)) + (beyond / _HARDNESS).square().sum(1)


def hinge(start: Float[Tensor, "*b 3"], middle: Float[Tensor, "*b 3"], end: Float[Tensor, "*b 3"]) -> Tensor:
    """The axis about which a knee or an elbow in the middle is bent, as long as the sine of the bend."""
    return torch.linalg.cross(normalize(middle - start, dim=-1), normalize(end - middle, dim=-1))


def _arm_axes(places: dict[str, Tensor], name: str, side: str) -> Float[Tensor, "3 3"]:
    shoulder, elbow, wrist = (places[f"{joint}.{side}"] for joint in ("upperarm01", "lowerarm01", "wrist"))
    end = places[f"{_BONE_ENDS.get(name, 'wrist')}.{side}"]
    bone = normalize(end - places[f"{name}.{side}"], dim=0)
    across = normalize(torch.linalg.cross(bone, hinge(shoulder, elbow, wrist)), dim=0)
    return torch.stack([torch.linalg.cross(across, bone), across, bone])
