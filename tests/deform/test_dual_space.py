"""Essence belongs to the body, light to the world: the laws of the two spaces of a field that follows a body."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from avatar.deform import FieldDeformConfig, FieldDeformer, LightField, LightFieldConfig, TriangleAffine
from avatar.engine import OccupancyGrid
from avatar.geometry import matrices_from_axis_angles, multiply_quats, quats_from_axis_angles
from avatar.structs import Body, FieldShape, Pose, RadianceField, RaySamples

BodyOf = Callable[[Pose], Body]
TURN = torch.tensor([0.0, 0.0, 2.1])


@pytest.fixture
def essence() -> RadianceField:
    """Coloured by canonical places, between 0 and 1; its surface is a slope everywhere."""

    def shape(samples: RaySamples) -> FieldShape:
        assert samples.warped is not None
        points, linear = samples.warped.points, samples.warped.linear
        normals = normalize(points * points.new_tensor([1.0, 1.0, 0.0]), dim=1)
        return FieldShape(
            samples=samples,
            alphas=torch.full_like(points[:, 0], 0.5),
            distances=points[:, :2].norm(dim=1) - 0.04,
            gradients=(linear.mT @ normals[..., None])[..., 0],
            canonical_normals=normals,
            features=points,
        )

    return RadianceField(
        shape=shape,
        radiance=lambda seen: (10 * seen.features).sigmoid(),
        distance=lambda points: points[:, 0],
        grid=OccupancyGrid(torch.ones(8, 8, 8, dtype=torch.bool), torch.tensor([[-2.0] * 3, [2.0] * 3])),
        step_m=0.01,
    )


@pytest.fixture
def deform(body_of: BodyOf, random_poses: Pose) -> FieldDeformer:
    rest = replace(random_poses[0], local_quats=torch.tensor([1.0, 0, 0, 0]).repeat(12, 1))
    deform = FieldDeformer(body_of(rest), FieldDeformConfig(warp=TriangleAffine(), reach_m=0.05, cell_m=0.02))
    torch.manual_seed(0)
    deform.light = LightField(random_poses, LightFieldConfig(hidden=8))
    for parameter in deform.light.parameters():
        nn.init.normal_(parameter, std=0.4)
    return deform


@pytest.fixture
def pose(random_poses: Pose) -> Pose:
    """At the centre of the light."""
    return replace(random_poses[0], root_position_world=random_poses.root_position_world.mean(0))


def around(body: Body) -> tuple[Tensor, Tensor]:
    """Places near the surface of a body, and directions."""
    noise = torch.randn(2, len(body.vertices_world), 3, generator=torch.Generator().manual_seed(0))
    return body.vertices_world + 0.003 * noise[0], normalize(noise[1], dim=1)


def colors_at(deform: FieldDeformer, essence: RadianceField, body: Body, places: tuple[Tensor, Tensor]) -> Tensor:
    points, directions = places
    samples = RaySamples(points=points, directions=directions, lengths=torch.full_like(points[:, 0], 0.01))
    field = deform(essence, body)
    return field.radiance(field.shape(samples))


@torch.no_grad()
def test_a_body_that_turns_keeps_its_essence_and_meets_another_light(
    deform: FieldDeformer, essence: RadianceField, body_of: BodyOf, pose: Pose
) -> None:
    light, center, turn = deform.light, pose.root_position_world, matrices_from_axis_angles(TURN)
    assert light is not None
    quats = pose.local_quats.clone()
    quats[0] = multiply_quats(quats_from_axis_angles(TURN), quats[0])
    body, turned_body = body_of(pose), body_of(replace(pose, local_quats=quats))
    points, directions = around(body)
    places, turned_places = (points, directions), (center + (points - center) @ turn.T, directions @ turn.T)
    before, after = (colors_at(deform, essence, *where) for where in ((body, places), (turned_body, turned_places)))
    assert float((after - before).abs().median()) > 0.05
    deform.light = light.turned(float(TURN[2]))
    torch.testing.assert_close(colors_at(deform, essence, turned_body, turned_places), before, atol=1e-3, rtol=1e-3)
    deform.light = None
    same, same_turned = (colors_at(deform, essence, *where) for where in ((body, places), (turned_body, turned_places)))
    torch.testing.assert_close(same_turned, same, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_light_that_turns_changes_the_gain_alone(
    deform: FieldDeformer, essence: RadianceField, body_of: BodyOf, pose: Pose
) -> None:
    """What is there stays, and all that is black."""
    assert deform.light is not None
    body, places = body_of(pose), around(body_of(pose))
    lit = colors_at(deform, essence, body, places)
    night = replace(essence, radiance=lambda seen: torch.zeros_like(seen.features))
    deform.light = deform.light.turned(1.0)
    relit = colors_at(deform, essence, body, places)
    assert float((relit / lit).std()) > 0.1
    assert not bool(colors_at(deform, night, body, places).any())
    deform.light = None
    plain = colors_at(deform, essence, body, places)
    assert bool(((lit / plain > 0) & (relit / plain > 0)).all())


@torch.no_grad()
def test_bright_light_is_not_cut_off(
    deform: FieldDeformer, essence: RadianceField, body_of: BodyOf, pose: Pose
) -> None:
    """Pictures are, when they are shown: a field that is too bright must be told so by its gradient."""
    assert deform.light is not None
    for parameter in deform.light.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(list(deform.light.residual.parameters())[-1])
    white = replace(essence, radiance=lambda seen: torch.ones_like(seen.features))
    colors = colors_at(deform, white, body_of(pose), around(body_of(pose)))
    torch.testing.assert_close(colors, torch.full_like(colors, 2.0))
