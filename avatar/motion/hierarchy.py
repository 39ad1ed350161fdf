"""From what motion files hold, joints that turn and move in the frames of their parents, to clips."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import conjugate_quats, multiply_quats, normalize_quats, quats_from_matrices, rotate_points
from avatar.structs import Clip, Skeleton

from .joint_names import Parts, body_parts

PERSON_M = 1.65  # a skeleton's usual height without the top of the head
UNITS_M = {
    "metres": 1.0,
    "decimetres": 0.1,
    "centimetres": 0.01,
    "millimetres": 0.001,
    "inches": 0.0254,
    "CMU units of 1/0.45 inch": 0.0254 / 0.45,
}
_HOUSE_FROM_FILE = {
    "+x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "+y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "+z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-x": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Hierarchy:
    """Joints in the frames of their parents, at rest and over time, in the axes and the unit of a file.

    Attributes:
        joint_names, parents: as in ``Skeleton``, but there may be several roots.
        rest_quats, rest_offsets: how each joint's frame stands in its parent's at rest, ``wxyz`` and file units.
        local_quats, local_offsets: the same over time; offsets of one frame hold for all.
        up: which axis of the file points up, for instance ``+y``; None to see it from the rest pose.
        unit_m: metres a unit; None to see it from the skeleton's height.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    rest_quats: Float[Tensor, "j 4"]
    rest_offsets: Float[Tensor, "j 3"]
    local_quats: Float[Tensor, "f j 4"]
    local_offsets: Float[Tensor, "#f j 3"]
    up: str | None = None
    unit_m: float | None = None
    notes: tuple[str, ...] = field(default=())

    def clip(self, name: str, frame_rate_hz: float) -> Clip:
        """The motion from the hips outwards, in the house's axes and metres."""
        rest_turns, rest = world_frames(self.parents, self.rest_quats[None], self.rest_offsets[None])
        turns, places = world_frames(self.parents, self.local_quats, self.local_offsets)
        parts = body_parts(Skeleton(joint_names=self.joint_names, parents=self.parents, joints_rest=rest[0]))
        up = self.up or _upwards(rest[0], parts) or _upwards(places.mean(0), parts) or "+y"
        axes = quats_from_matrices(torch.tensor(_HOUSE_FROM_FILE[up], dtype=rest.dtype))
        unit, notes = _unit(self.unit_m, rotate_points(axes, rest[0]))
        hips = parts["hips"][0][0]
        kept = _subtree(self.parents, hips)
        from_rest = multiply_quats(turns[:, kept], conjugate_quats(rest_turns[:, kept]))
        from_rest = multiply_quats(multiply_quats(axes, from_rest), conjugate_quats(axes))
        parents = tuple(-1 if joint == hips else kept.index(self.parents[joint]) for joint in kept)
        if self.up is None and up != "+y":
            notes += (f"its {up} axis points up",)
        return Clip(
            name=name,
            skeleton=Skeleton(
                joint_names=tuple(self.joint_names[joint] for joint in kept),
                parents=parents,
                joints_rest=rotate_points(axes, rest[0, kept] - rest[0, hips]) * unit,
            ),
            local_quats=local_turns(parents, from_rest),
            root_position_world=rotate_points(axes, places[:, hips]) * unit,
            frame_rate_hz=frame_rate_hz,
            notes=self.notes + notes,
        )


def world_frames(
    parents: Sequence[int], local_quats: Float[Tensor, "f j 4"], local_offsets: Float[Tensor, "#f j 3"]
) -> tuple[Float[Tensor, "f j 4"], Float[Tensor, "f j 3"]]:
    """Rotation and place of every joint's frame in the world."""
    turns, places = [], []
    for joint, parent in enumerate(parents):
        quats, offsets = local_quats[:, joint], local_offsets[:, joint].expand(len(local_quats), 3)
        turns.append(multiply_quats(turns[parent], quats) if parent >= 0 else quats)
        places.append(places[parent] + rotate_points(turns[parent], offsets) if parent >= 0 else offsets)
    return torch.stack(turns, 1), torch.stack(places, 1)


def posed_joints(
    skeleton: Skeleton, local_quats: Float[Tensor, "f j 4"], root_position_world: Float[Tensor, "f 3"]
) -> tuple[Float[Tensor, "f j 4"], Float[Tensor, "f j 3"]]:
    """``G_j`` and the place in the world of every joint."""
    rest, parents = skeleton.joints_rest, skeleton.parents
    turns, places = [], []
    for joint, parent in enumerate(parents):
        quats = local_quats[:, joint]
        turns.append(multiply_quats(turns[parent], quats) if parent >= 0 else quats)
        bone = rest[joint] - rest[max(parent, 0)]
        places.append(places[parent] + rotate_points(turns[parent], bone) if parent >= 0 else root_position_world)
    return torch.stack(turns, 1), torch.stack(places, 1)


def world_turns(parents: Sequence[int], local_quats: Float[Tensor, "f j 4"]) -> Float[Tensor, "f j 4"]:
    """``G_j`` of every joint, ``G_j = G_parent R_j``."""
    return world_frames(parents, local_quats, local_quats.new_zeros(1, len(parents), 3))[0]


def local_turns(parents: Sequence[int], turns: Float[Tensor, "f j 4"]) -> Float[Tensor, "f j 4"]:
    """``R_j`` of every joint from ``G_j``."""
    above = [max(parent, 0) for parent in parents]
    is_root = torch.tensor(parents)[:, None] < 0
    local = torch.where(is_root, turns, multiply_quats(conjugate_quats(turns[:, above]), turns))
    return normalize_quats(local)


def _subtree(parents: Sequence[int], root: int) -> list[int]:
    kept = [root]
    for joint, parent in enumerate(parents):
        if joint > root and parent in kept:
            kept.append(joint)
    return kept


def _upwards(places: Float[Tensor, "j 3"], parts: Parts) -> str | None:
    """The axis from the legs to the head, unless the places are those of no standing body."""
    feet = [joint for part in ("left_foot", "right_foot") for joint in parts.get(part, [[]])[0]]
    if not feet or "head" not in parts:
        return None
    hips = places[parts["hips"][0][0]]
    above, below = places[parts["head"][0][0]] - hips, places[feet].mean(0) - hips
    length = above.norm() * below.norm()
    if not length > 0 or float(above @ below) > -0.7 * float(length):
        return None
    body = above / above.norm() - below / below.norm()
    axis = int(body.abs().argmax())
    return f"{'+' if body[axis] > 0 else '-'}{'xyz'[axis]}"


def _unit(unit_m: float | None, rest: Float[Tensor, "j 3"]) -> tuple[float, tuple[str, ...]]:
    """Metres a unit, and what was assumed."""
    if unit_m is not None:
        return unit_m, ()
    height = float((rest.amax(0) - rest.amin(0)).max())
    if not height > 0:
        return 1.0, ("its joints are all in one place",)
    heights = {unit: height * metres for unit, metres in UNITS_M.items()}
    nearest = min(heights, key=lambda unit: max(heights[unit] / PERSON_M, PERSON_M / heights[unit]))
    if 0.5 <= heights[nearest] <= 2.5:
        return UNITS_M[nearest], (f"lengths taken as {nearest}: the skeleton is then {heights[nearest]:.2f} m high",)
    return PERSON_M / height, (f"lengths of an unknown unit: the skeleton is taken to be {PERSON_M} m high",)
