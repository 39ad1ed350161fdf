"""What is sought: one person and its poses, and the body that they make."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import AnnyBody, load_body
from avatar.body_conversion import sampled
from avatar.engine import forward_kinematics
from avatar.geometry import (
    axis_angles_from_quats,
    farthest_point_sampling,
    lbs,
    quats_from_axis_angles,
    slerp,
    transform_points,
    vertex_normals,
)
from avatar.structs import Pose, Shape

from .freedoms import Freedoms
from .markers import Markers

_FEW = 250
_HANDS = ("hand.L", "hand.R")
_FEET = ("foot.L", "foot.R")
_SURFACE = ("body", "head", *_HANDS, *_FEET)


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """The unknowns of a fit.

    Attributes:
        shape: parameters of Anny.
        offsets: of landmarks from their markers at rest, metres in the model's axes.
        root_quats: the root's rotation.
        root_positions: world metres.
        turns: of the joints that turn, rotation vectors from rest.
    """

    shape: Float[Tensor, " p"]
    offsets: Float[Tensor, "33 3"]
    root_quats: Float[Tensor, "f 4"]
    root_positions: Float[Tensor, "f 3"]
    turns: Float[Tensor, "f a 3"]

    def __len__(self) -> int:
        return len(self.turns)

    def frames(self, rows: Int[Tensor, " n"]) -> "Estimate":
        """The same person in some of the poses."""
        return replace(
            self,
            root_quats=self.root_quats[rows],
            root_positions=self.root_positions[rows],
            turns=self.turns[rows],
        )

    def with_frames(self, rows: Int[Tensor, " n"], part: "Estimate") -> "Estimate":
        """The same person with the poses of another estimate in these rows."""
        return replace(
            self,
            root_quats=self.root_quats.index_copy(0, rows, part.root_quats),
            root_positions=self.root_positions.index_copy(0, rows, part.root_positions),
            turns=self.turns.index_copy(0, rows, part.turns),
        )

    def between(self, known: Float[Tensor, " f"], asked: Float[Tensor, " n"]) -> "Estimate":
        """Poses at the ``asked`` times from those at ``known`` ascending ones; the nearest before and after them."""
        after = torch.searchsorted(known, asked).clamp(max=len(known) - 1)
        before = (after - 1).clamp_min(0)
        share = ((asked - known[before]) / (known[after] - known[before]).clamp_min(1e-9)).clamp(0, 1).float()
        quats = quats_from_axis_angles(self.turns)
        return replace(
            self,
            root_quats=slerp(self.root_quats[before], self.root_quats[after], share),
            root_positions=torch.lerp(self.root_positions[before], self.root_positions[after], share[:, None]),
            turns=axis_angles_from_quats(slerp(quats[before], quats[after], share[:, None])),
        )


class Posed(NamedTuple):
    """A body in many poses, world metres.

    Attributes:
        markers: of the landmarks.
        joints: all of them.
        surface: some points all over the skin.
    """

    markers: Float[Tensor, "f 33 3"]
    joints: Float[Tensor, "f j 3"]
    surface: Float[Tensor, "f v 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """The body model, as a fit sees it.

    Attributes:
        body: the whole model.
        surface: the same with some points of the skin alone.
        rows: which they are of the whole model's vertices.
        markers: its landmarks.
        freedoms: its joints that turn.
        is_firm: points of the skin that make contours: hands also move their fingers, and feet are in shoes.
    """

    body: AnnyBody
    surface: AnnyBody
    rows: Int[Tensor, " v"]
    markers: Markers
    freedoms: Freedoms
    is_firm: Bool[Tensor, " v"]

    @classmethod
    def load(cls, num_points: int) -> "Template":
        """Anny on its own skeleton, with so many points of the skin."""
        body = load_body("anny")
        assert isinstance(body, AnnyBody)
        skin = torch.unique(body.rig.faces[torch.isin(body.face_parts, _parts(body, _SURFACE))])
        middle = body.shaped(body.default_shape()).rest.vertices
        rows = skin[farthest_point_sampling(middle[skin], num_points)]
        surface = sampled(body, rows)
        assert isinstance(surface, AnnyBody)
        hands = torch.unique(body.rig.faces[torch.isin(body.face_parts, _parts(body, (*_HANDS, *_FEET)))])
        return cls(
            body=body,
            surface=surface,
            rows=rows,
            markers=Markers.of(body),
            freedoms=Freedoms.of(body),
            is_firm=~torch.isin(rows, hands),
        )

    @cached_property
    def sparse(self) -> "Template":
        """The same with few points of the skin."""
        few = torch.arange(min(_FEW, len(self.rows)))  # the first are the farthest from each other
        surface = sampled(self.surface, few)
        assert isinstance(surface, AnnyBody)
        return replace(self, surface=surface, rows=self.rows[few], is_firm=self.is_firm[few])

    def shape(self, values: Float[Tensor, " p"]) -> Shape:
        """The shape with these parameters."""
        space = self.body.shape_space
        return Shape(names=space.names, values=values.clamp(space.low, space.high))

    def poses(self, estimate: Estimate) -> Pose:
        """All joints' rotations."""
        resting = estimate.root_quats.new_tensor([1.0, 0.0, 0.0, 0.0])
        quats = resting.repeat(len(estimate), len(self.body.joint_names), 1)
        quats = quats.index_copy(1, self.freedoms.joints, quats_from_axis_angles(estimate.turns))
        quats = torch.cat([estimate.root_quats[:, None], quats[:, 1:]], dim=1)
        return Pose(local_quats=quats, root_position_world=estimate.root_positions)

    def transforms(self, estimate: Estimate) -> Float[Tensor, "f j 4 4"]:
        """``posed_from_rest`` of all joints."""
        poses, joints = self.poses(estimate), self.body.joints(self._coefficients(estimate))
        return forward_kinematics(self.body.parents, joints, poses.local_quats, poses.root_position_world)

    def posed(self, estimate: Estimate) -> Posed:
        """Landmarks, joints and points of the skin."""
        coefficients, posed = self._coefficients(estimate), self.transforms(estimate)
        rig = self.surface.rig
        return Posed(
            markers=self.markers.posed(self.markers.rest(coefficients), estimate.offsets, posed),
            joints=transform_points(posed, self.body.joints(coefficients)),
            surface=lbs(self.surface.vertices(coefficients), rig.bone_ids, rig.bone_weights, posed),
        )

    def joints(self, estimate: Estimate) -> Float[Tensor, "f j 3"]:
        """The joints alone."""
        return transform_points(self.transforms(estimate), self.body.joints(self._coefficients(estimate)))

    def height_m(self, estimate: Estimate) -> Float[Tensor, ""]:
        """From soles to crown at rest."""
        heights = self.surface.vertices(self._coefficients(estimate))[:, 2]
        return heights.amax() - heights.amin()

    @torch.no_grad()
    def normals(self, estimate: Estimate) -> Float[Tensor, "f v 3"]:
        """Which way the points of the skin look, about of length one."""
        rest = self.body.vertices(self._coefficients(estimate))
        normals = vertex_normals(rest, self.body.rig.faces)[self.rows]
        turns = self.transforms(estimate).clone()
        turns[..., :3, 3] = 0
        return lbs(normals, self.surface.rig.bone_ids, self.surface.rig.bone_weights, turns)

    def _coefficients(self, estimate: Estimate) -> Float[Tensor, " d"]:
        return self.body.shape_space.coefficients(self.shape(estimate.shape))


def _parts(body: AnnyBody, names: tuple[str, ...]) -> Int[Tensor, " n"]:
    return torch.tensor([body.part_names.index(name) for name in names])
