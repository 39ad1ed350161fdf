"""The mix of linear and dual-quaternion skinning that every vertex learns for itself."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.deform import (
    CorrectivesConfig,
    DeformConfig,
    Deformer,
    DualQuaternion,
    LearnedMix,
    Linear,
    Skinning,
)
from avatar.deform.skinning import skin_mesh
from avatar.geometry import quats_from_axis_angles
from avatar.structs import Body, Gaussians, Mesh, Pose

BodyOf = Callable[[Pose], Body]
KINDS: tuple[Skinning, ...] = (Linear(), DualQuaternion(), LearnedMix())


def learner(tube: Mesh, poses: Pose, start: float) -> Deformer:
    config = DeformConfig(skinning=LearnedMix(initial_dqs_fraction=start), correctives=CorrectivesConfig(num_modes=0))
    return Deformer(tube, poses, range(6), config)


def means_of(deform: Deformer, gaussians: Gaussians, body: Body) -> Tensor:
    posed = deform(gaussians, body)
    assert isinstance(posed, Gaussians)
    return posed.means


def vertices_of(deform: Deformer, mesh: Mesh, body: Body) -> Tensor:
    posed = deform(mesh, body)
    assert isinstance(posed, Mesh)
    return posed.vertices


def twisted(joint: int, angle: float) -> Pose:
    angles = torch.zeros(12, 3)
    angles[joint, 2] = angle
    return Pose(local_quats=quats_from_axis_angles(angles), root_position_world=torch.zeros(3))


@pytest.mark.parametrize(("logit", "kind"), [(-30.0, Linear()), (30.0, DualQuaternion())])
@torch.no_grad()
def test_both_ends_are_the_pure_methods(
    logit: float, kind: Skinning, tube: Mesh, gaussians: Gaussians, body_of: BodyOf, random_poses: Pose
) -> None:
    deform, body = learner(tube, random_poses, 0.5), body_of(random_poses[3])
    pure = Deformer(tube, random_poses, range(6), DeformConfig(skinning=kind, correctives=deform.config.correctives))
    assert deform.mix_logits is not None
    deform.mix_logits.fill_(logit)
    for moved in (lambda d: means_of(d, gaussians, body), lambda d: vertices_of(d, tube, body)):
        torch.testing.assert_close(moved(deform), moved(pure), atol=1e-6, rtol=0)


@torch.no_grad()
def test_gaussians_and_mesh_share_the_mix(
    tube: Mesh, gaussians: Gaussians, body_of: BodyOf, random_poses: Pose
) -> None:
    """A Gaussian on a triangle whose corners are linear moves linearly, whatever the rest of the surface does."""
    deform, body = learner(tube, random_poses, 0.5), body_of(random_poses[2])
    assert deform.mix_logits is not None
    is_low = tube.vertices[:, 2] < 0.5
    deform.mix_logits.copy_(torch.where(is_low, -30.0, 30.0))
    assert gaussians.binding is not None
    are_low = is_low[tube.faces[gaussians.binding.triangles]]
    pure = {kind: learner(tube, random_poses, 0.5) for kind in (-30.0, 30.0)}
    for logit, corners in ((-30.0, are_low), (30.0, ~are_low)):
        logits = pure[logit].mix_logits
        assert logits is not None
        logits.fill_(logit)
        inside = corners.all(1)
        assert int(inside.sum()) > 50
        expected = means_of(pure[logit], gaussians, body)[inside]
        torch.testing.assert_close(means_of(deform, gaussians, body)[inside], expected, atol=1e-6, rtol=0)
    expected = torch.where(is_low[:, None], *(vertices_of(d, tube, body) for d in pure.values()))
    torch.testing.assert_close(vertices_of(deform, tube, body), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kind", "end"), [(DualQuaternion(), 1.0), (Linear(), 0.0)])
def test_a_twist_tells_how_it_was_made(
    kind: Skinning, end: float, tube: Mesh, gaussians: Gaussians, body_of: BodyOf, random_poses: Pose
) -> None:
    """Fitted to twists of one kind, the mix goes there wherever the two differ."""
    bodies = [body_of(twisted(5, angle)) for angle in (1.0, 2.0, 2.8)]
    config = DeformConfig(skinning=kind, correctives=CorrectivesConfig(num_modes=0))
    maker = Deformer(tube, random_poses, range(6), config)
    truth = [means_of(maker, gaussians, body).detach() for body in bodies]
    deform = learner(tube, random_poses, 0.5)
    optimizer = torch.optim.Adam(deform.parameters(), lr=0.2)

    def residual() -> Tensor:
        squares = [
            (means_of(deform, gaussians, body) - target).square().sum(1)
            for body, target in zip(bodies, truth, strict=True)
        ]
        return torch.stack(squares).sum(0)

    before = residual().detach()
    for _ in range(150):
        optimizer.zero_grad()
        (1e4 * residual().sum()).backward()
        optimizer.step()
    assert deform.mix_logits is not None
    fractions, heights = deform.mix_logits.detach().sigmoid(), 10 * tube.vertices[:, 2]
    assert gaussians.binding is not None
    is_seen = torch.zeros_like(fractions, dtype=torch.bool)
    is_seen[tube.faces[gaussians.binding.triangles]] = True
    between = is_seen & ((heights - 4.5).abs() < 0.3)
    assert int(between.sum()) > 15
    assert float((fractions[between] - end).abs().max()) < 0.06
    assert float(residual().detach().sum()) < 0.01 * float(before.sum())


def forearm_volume(vertices: Tensor, section: Tensor) -> float:
    """Volume inside the triangles of an open section, either end closed by a fan about the middle of its rim."""
    corners = [tuple(edge) for edge in torch.cat([section[:, [0, 1]], section[:, [1, 2]], section[:, [2, 0]]]).tolist()]
    follows = {end: start for start, end in set(corners) - {(end, start) for start, end in corners}}
    caps = []
    while follows:
        rim = [next(iter(follows))]
        while (after := follows.pop(rim[-1])) != rim[0]:
            rim.append(after)
        around = vertices[rim]
        caps.append(torch.stack([around, around.roll(-1, 0), around.mean(0).expand_as(around)], 1))
    assert len(caps) == 2
    return float(torch.linalg.det(torch.cat([vertices[section], *caps]).double()).sum() / 6)


def test_a_forearm_twisted_by_half_a_turn_keeps_its_volume() -> None:
    """Only by what a mix starts with: linear skinning wrings it like a cloth."""
    model = load_body("anny")
    rest = model.shaped(model.default_shape())
    elbow, middle, wrist = (model.joint_names.index(name) for name in ("lowerarm01.L", "lowerarm02.L", "wrist.L"))
    start, end = rest.joints_rest[elbow], rest.joints_rest[wrist]
    along = (rest.rest.vertices - start) @ (end - start) / (end - start).square().sum()
    near = (rest.rest.vertices - start - along[:, None] * (end - start)).norm(dim=1) < 0.09
    section = rest.rest.faces[((along > 0) & (along < 1) & near)[rest.rest.faces].all(1)]
    turns = torch.zeros(len(model.parents), 3)
    turns[middle] = math.pi * torch.nn.functional.normalize(end - start, dim=0)
    body = rest.posed(Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.zeros(3)))
    before = forearm_volume(rest.rest.vertices, section)
    assert 5e-4 < before < 1e-3, "half a litre to a litre"
    kept = {kind: forearm_volume(skin_mesh(rest.rest, body, kind).vertices, section) / before for kind in KINDS}
    assert kept[LearnedMix()] == pytest.approx(1, abs=0.05)
    assert kept[DualQuaternion()] == pytest.approx(1, abs=0.05)
    assert kept[Linear()] < 0.75


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_a_mix_starts_where_it_can_still_learn(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"LearnedMix\.initial_dqs_fraction: expected more than 0, less than 1"):
        LearnedMix(initial_dqs_fraction=fraction)
