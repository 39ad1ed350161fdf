"""One body model's person and poses as another's: SMPL, SMPL-H and SMPL-X to Anny and back.

The models have other joints and other shapes, so no formula leads from one to the other. Rotations are carried over as
between any two skeletons (``avatar.motion``), which is close; then a fit makes it the same surface. First the person:
shape and pose of the target for the source at rest, to the joints that both have and then to the nearest points of the
surface, found anew a few times. What was nearest at rest stays together ever after: the poses are fitted to it alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.body import AnnyBody, BodyModel, ShapedBody, SmplBody, load_body
from avatar.descent import lbfgs
from avatar.engine import MeshTree, closest_points, forward_kinematics
from avatar.geometry import (
    farthest_point_sampling,
    lbs,
    matrices_from_quats,
    multiply_quats,
    quats_from_axis_angles,
    quats_from_matrices,
    transform_points,
    vertex_normals,
)
from avatar.motion import RetargetConfig, body_parts, retarget
from avatar.structs import Capture, Clip, Frame, Pose, Shape, Skeleton, map_tensors

COMPARED = tuple(
    f"{side}_{part}"
    for part in ("upper_leg", "lower_leg", "foot", "upper_arm", "lower_arm", "hand")
    for side in ("left", "right")
)
"""The parts of the body whose first joints are in the same place in every model, more or less."""

_AT_ONCE = 32  # time steps
_UNIT = 1e4  # of the cost, so that its slopes are of the size of the unknowns
_SLIP = 0.05  # the surface of a person at rest may slide along the other: what is nearest changes


@dataclass(frozen=True, kw_only=True)
class ConversionConfig:
    """How closely to look.

    Attributes:
        num_points: how many vertices of the target are compared.
        reach_m: points of the surface that are farther apart at rest, or look elsewhere, have nothing to do with each
            other.
        rounds: how often the nearest points of the person are found anew.
        person_steps: steps of the optimiser in each round.
        pose_steps: steps of the optimiser for the poses.
        joint_weight: how much the square of a joint's distance counts against that of a point of the surface.
        turn_prior: what the square of a joint's correction costs, in the same unit, a square radian.
        shape_prior: what the square of a shape parameter costs, counted from the default in halves of its range.
    """

    num_points: int = 500
    reach_m: float = 0.06
    rounds: int = 5
    person_steps: int = 40
    pose_steps: int = 200
    joint_weight: float = 0.05
    turn_prior: float = 1e-4
    shape_prior: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("num_points", "rounds", "person_steps", "pose_steps", "reach_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"ConversionConfig.{name}: expected more than 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class ConversionReport:
    """How far the two bodies are apart.

    Attributes:
        joint_names: the parts of the body whose first joints are compared.
        joint_errors_m: their distances from the source's, which models place differently inside the same body.
        surface_errors_m: distances of points of the target's surface from the source's surface.
    """

    joint_names: tuple[str, ...]
    joint_errors_m: Float[Tensor, "f k"]
    surface_errors_m: Float[Tensor, "f n"]

    def sentence(self) -> str:
        """The errors in millimetres."""
        joints, surface = self.joint_errors_m * 1e3, self.surface_errors_m * 1e3
        frame, joint = divmod(int(joints.argmax()), joints.shape[1])
        return (
            f"joints {joints.mean():.1f} mm apart on average, at most {joints.max():.1f} mm "
            f"({self.joint_names[joint]} in time step {frame}); surface {surface.mean():.1f} mm, at most "
            f"{surface.max():.1f} mm"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A person and poses of the target model, and how well they stand for the source's."""

    shape: Shape
    poses: Pose
    report: ConversionReport


def convert(
    source: BodyModel,
    shape: Shape,
    poses: Pose,
    target: BodyModel,
    config: ConversionConfig | None = None,
    on_poses: Callable[[int], None] | None = None,
) -> Converted:
    """The person of ``shape`` and its ``poses`` (a sequence) of the ``source`` model as those of ``target``.

    ``on_poses`` is told how many more time steps are done. Both models must be float32 and on the CPU. Raises
    ValueError when they have too few joints in common.
    """
    config = config or ConversionConfig()
    given = source.shaped(shape)
    carried = _carried(given, _joined([given.rest_pose(), poses]), target.shaped(target.default_shape()))
    match = _Match.of_joints(source, shape, target, config)
    person, at_rest, match = _fit_person(match, carried[[0]], config)
    shaped, parts = match.sampled_target.shaped(person), []
    start = _as_at_rest(shaped, carried, at_rest)
    for rows in torch.arange(len(poses.local_quats)).split(_AT_ONCE):
        fit, aims = _Fit(start[rows.tolist()], config), match.aims(poses[rows.tolist()])
        fit.run(partial(fit.cost, shaped, match, aims), config.pose_steps)
        parts.append(fit.found())
        if on_poses:
            on_poses(len(rows))
    fitted = _joined(parts)
    return Converted(shape=person, poses=fitted, report=_report(match, poses, shaped, fitted))


def converted_capture(
    capture: Capture, rig: str, config: ConversionConfig | None = None, on_poses: Callable[[int], None] | None = None
) -> tuple[Capture, ConversionReport]:
    """The capture with the body of another rig in every time step, and how far that is from the one it had.

    Raises as ``load_body`` and ``convert`` do.
    """
    found = convert(load_body(capture.rig), capture.shape, capture.poses, load_body(rig), config, on_poses)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        pose = replace(found.poses[frame_id], frame_id=frame_id)
        return replace(capture.load_frame(frame_id, camera_id, cropped), pose=pose)

    converted = replace(capture, rig=rig, shape=found.shape, poses=found.poses, load_frame=load_frame)
    return converted, found.report


def sampled(body: BodyModel, rows: Int[Tensor, " n"]) -> BodyModel:
    """The model with these vertices alone, and no triangles; what else it says of the surface means nothing."""
    vertices, rig = body.vertices, body.rig
    vertices = replace(vertices, base=vertices.base[rows], directions=vertices.directions[:, rows])
    rig = replace(rig, bone_ids=rig.bone_ids[rows], bone_weights=rig.bone_weights[rows])
    rig = replace(rig, faces=rig.faces[:0], uv_faces=rig.uv_faces[:0])
    match body:
        case AnnyBody():
            return replace(body, vertices=vertices, rig=rig)
        case SmplBody():
            bends, regressor = body.pose_directions[:, rows], body.joint_regressor[:, rows]
            return replace(body, vertices=vertices, rig=rig, pose_directions=bends, joint_regressor=regressor)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Match:
    """What of two bodies belongs together.

    Attributes:
        source, shape: the person that is given.
        target: the model that shall stand for it.
        parts: of the body, whose first joints are compared.
        joint_rows: these joints in the source and in the target.
        rows: vertices of the target that are compared.
        corners, shares: for each of them the corners of a triangle of the source, and how much they count.
        normals: which way the source looks there at rest.
        weights: 1 for vertices that have such a counterpart, else 0.
    """

    source: BodyModel
    shape: Shape
    target: BodyModel
    parts: tuple[str, ...]
    joint_rows: Int[Tensor, "2 k"]
    rows: Int[Tensor, " n"]
    corners: Int[Tensor, "n 3"]
    shares: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]
    weights: Float[Tensor, " n"]

    @classmethod
    def of_joints(cls, source: BodyModel, shape: Shape, target: BodyModel, config: ConversionConfig) -> "_Match":
        """The joints of the same names, and vertices that have no counterpart yet."""
        given, middle = source.shaped(shape), target.shaped(target.default_shape())
        theirs, ours = body_parts(_skeleton(given)), body_parts(_skeleton(middle))
        parts = [part for part in COMPARED if part in theirs and part in ours]
        if len(parts) < len(COMPARED) // 2:
            raise ValueError(f"models: expected {', '.join(COMPARED)} in both, found {', '.join(parts) or 'none'}")
        surface = torch.unique(target.rig.faces)
        count = min(config.num_points, len(surface))
        return cls(
            source=source,
            shape=shape,
            target=target,
            parts=tuple(parts),
            joint_rows=torch.tensor([[joints[part][0][0] for part in parts] for joints in (theirs, ours)]),
            rows=surface[farthest_point_sampling(middle.rest.vertices[surface], count)],
            corners=torch.zeros(count, 3, dtype=torch.int64),
            shares=torch.zeros(count, 3),
            normals=torch.zeros(count, 3),
            weights=torch.zeros(count),
        )

    @cached_property
    def given(self) -> ShapedBody:
        """The person that is given."""
        return self.source.shaped(self.shape)

    @cached_property
    def sampled_target(self) -> BodyModel:
        """The target with the vertices that are compared alone."""
        return sampled(self.target, self.rows)

    def aims(self, poses: Pose) -> tuple[Float[Tensor, "f n 3"], Float[Tensor, "f k 3"]]:
        """Where the vertices and the joints should be."""
        corners, joints = _posed(sampled(self.source, self.corners.flatten()).shaped(self.shape), poses)
        points = (corners.unflatten(1, (-1, 3)) * self.shares[..., None]).sum(2)
        return points, joints[:, self.joint_rows[0]]

    @torch.no_grad()
    def found_anew(self, person: Shape, pose: Pose, reach_m: float) -> "_Match":
        """The same with the points of the source's surface at rest that are nearest to the ``person`` in ``pose``."""
        ours, theirs = self.target.shaped(person).posed(pose).vertices_world, self.given.rest.vertices
        faces = self.source.rig.faces
        nearest = closest_points(ours[self.rows], MeshTree(faces, theirs))
        corners = faces[nearest.face_ids.long()]
        normals = normalize(vertex_normals(theirs, faces)[corners].mean(1), dim=1)
        agreement = (vertex_normals(ours, self.target.rig.faces)[self.rows] * normals).sum(1)
        is_near = (nearest.distances.abs() < reach_m) & (agreement > 0.5)
        weights = is_near.to(ours.dtype)
        return replace(self, corners=corners, shares=nearest.barycentrics, normals=normals, weights=weights)


class _Fit:
    """Poses that are corrected, and the cost of the corrections."""

    def __init__(self, start: Pose, config: ConversionConfig) -> None:
        self.start, self.config = start, config
        self.turns = torch.zeros_like(start.local_quats[..., 1:], requires_grad=True)
        self.shifts = torch.zeros_like(start.root_position_world, requires_grad=True)

    def poses(self) -> Pose:
        """The poses as they are now."""
        quats = multiply_quats(self.start.local_quats, quats_from_axis_angles(self.turns))
        return Pose(local_quats=quats, root_position_world=self.start.root_position_world + self.shifts)

    def found(self) -> Pose:
        """The same, to keep."""
        return map_tensors(self.poses(), Tensor.detach)

    def cost(
        self, shaped: ShapedBody, match: _Match, aims: tuple[Tensor, Tensor], slip: float = 1.0
    ) -> Float[Tensor, ""]:
        """Mean squares of distances and of corrections, square metres; of the joints alone without anything near.

        Distances along the surface at rest count ``slip`` times.
        """
        points, joints = _posed(shaped, self.poses())
        away = points - aims[0]
        squares = slip * away.square().sum(-1) + (1 - slip) * (away * match.normals).sum(-1).square()
        surface = (squares * match.weights).mean()
        pivots = (joints[:, match.joint_rows[1]] - aims[1]).square().sum(-1).mean()
        share = self.config.joint_weight if bool(match.weights.any()) else 1.0
        return surface + share * pivots + self.config.turn_prior * self.turns.square().sum(-1).mean()

    def run(self, cost: Callable[[], Float[Tensor, ""]], steps: int, more: Sequence[Tensor] = ()) -> None:
        """Steps downhill for the corrections, and for ``more`` unknowns."""
        lbfgs(lambda: _UNIT * cost(), [self.turns, self.shifts, *more], steps, tolerance_change=0.0)


def _fit_person(match: _Match, start: Pose, config: ConversionConfig) -> tuple[Shape, Pose, _Match]:
    """The target's person, its pose where the source is at rest, and what is nearest there."""
    target, person = match.sampled_target, match.target.default_shape()
    rows = [target.shape_space.names.index(name) for name in person.names]
    low, high = target.shape_space.low[rows], target.shape_space.high[rows]
    middle, values = person.values, person.values.clone().requires_grad_()
    fit, rest = _Fit(start, config), _joined([match.given.rest_pose()])
    aims = match.aims(rest)

    def cost() -> Float[Tensor, ""]:
        surprise = ((values - middle) / (0.5 * (high - low))).square().sum()
        shaped = target.shaped(replace(person, values=values.clamp(low, high)))
        return fit.cost(shaped, match, aims, _SLIP) + config.shape_prior * surprise

    for _ in range(config.rounds + 1):
        fit.run(cost, config.person_steps, [values])
        person = replace(person, values=values.detach().clamp(low, high))
        match = match.found_anew(person, fit.found()[0], config.reach_m)
        aims = match.aims(rest)
    return person, fit.found(), match


def _posed(shaped: ShapedBody, poses: Pose) -> tuple[Float[Tensor, "f v 3"], Float[Tensor, "f j 3"]]:
    """Vertices and joints of a person in many poses, world metres."""
    rig, points = shaped.rig, shaped.rest.vertices
    posed = forward_kinematics(rig.parents, shaped.joints_rest, poses.local_quats, poses.root_position_world)
    if shaped.pose_directions is not None:
        turns = matrices_from_quats(poses.local_quats[:, 1:])
        bends = (turns - torch.eye(3).to(turns)).flatten(1) @ shaped.pose_directions.flatten(1)
        points = points + bends.unflatten(1, (-1, 3))
    return lbs(points, rig.bone_ids, rig.bone_weights, posed), transform_points(posed, shaped.joints_rest)


def _carried(given: ShapedBody, poses: Pose, target: ShapedBody) -> Pose:
    """The poses on the target's skeleton by the rotations of the joints alone, the hips where the source's are."""
    twice = _joined([poses[[0]], poses])  # a T-pose that the next time step leaves at once would be left out
    clip = Clip(
        name="the poses",
        skeleton=_skeleton(given),
        local_quats=twice.local_quats,
        root_position_world=twice.root_position_world,
        frame_rate_hz=30.0,
    )
    made = retarget(clip, _skeleton(target), RetargetConfig(ground="none")).poses
    made = made[list(range(1, len(made.local_quats)))]
    shift = _hip_centres(given, poses) - _hip_centres(target, made)
    return replace(made, root_position_world=made.root_position_world + shift)


def _hip_centres(shaped: ShapedBody, poses: Pose) -> Float[Tensor, "f 3"]:
    parts = body_parts(_skeleton(shaped))
    posed = forward_kinematics(shaped.rig.parents, shaped.joints_rest, poses.local_quats, poses.root_position_world)
    hips = [parts[f"{side}_upper_leg"][0][0] for side in ("left", "right")]
    return transform_points(posed, shaped.joints_rest)[:, hips].mean(1)


def _as_at_rest(shaped: ShapedBody, carried: Pose, at_rest: Pose) -> Pose:
    """The carried poses but for the first, which was of the source at rest, by what the fit changed there."""
    parents = list(shaped.rig.parents)
    worlds = [
        forward_kinematics(shaped.rig.parents, shaped.joints_rest, pose.local_quats, pose.root_position_world)[
            ..., :3, :3
        ]
        for pose in (carried, at_rest)
    ]
    turned = worlds[0][1:] @ worlds[0][:1].mT @ worlds[1]
    local = torch.cat([turned[:, :1], turned[:, parents[1:]].mT @ turned[:, 1:]], 1)
    moved = at_rest.root_position_world - carried.root_position_world[:1]
    shift = (worlds[0][1:, 0] @ worlds[0][:1, 0].mT @ moved[..., None])[..., 0]
    return Pose(local_quats=quats_from_matrices(local), root_position_world=carried.root_position_world[1:] + shift)


@torch.no_grad()
def _report(match: _Match, given_poses: Pose, shaped: ShapedBody, poses: Pose) -> ConversionReport:
    points, joints = _posed(shaped, poses)
    tree, errors = MeshTree(match.source.rig.faces, match.given.rest.vertices), []
    for frame, of_frame in enumerate(points):
        tree.update(match.given.posed(given_poses[frame]).vertices_world)
        errors.append(closest_points(of_frame, tree).distances.abs())
    return ConversionReport(
        joint_names=match.parts,
        joint_errors_m=torch.linalg.vector_norm(joints[:, match.joint_rows[1]] - match.aims(given_poses)[1], dim=-1),
        surface_errors_m=torch.stack(errors),
    )


def _skeleton(shaped: ShapedBody) -> Skeleton:
    return Skeleton(joint_names=shaped.rig.joint_names, parents=shaped.rig.parents, joints_rest=shaped.joints_rest)


def _joined(parts: Sequence[Pose]) -> Pose:
    """One sequence of single poses and sequences."""
    return Pose(
        local_quats=torch.cat([part.local_quats.reshape(-1, *part.local_quats.shape[-2:]) for part in parts]),
        root_position_world=torch.cat([part.root_position_world.reshape(-1, 3) for part in parts]),
    )
