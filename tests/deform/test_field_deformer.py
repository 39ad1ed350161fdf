"""A field that follows a body: a canonical field of known distances, seen in the world."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from avatar.body import load_body, spread_pose
from avatar.deform import (
    FieldCodes,
    FieldCodesConfig,
    FieldDeformConfig,
    FieldDeformer,
    LightField,
    LightFieldConfig,
    TriangleAffine,
    VertexBlend,
    Warp,
    band_grid,
)
from avatar.deform.posed_space import PosedSpace
from avatar.engine import MeshTree, OccupancyGrid, closest_points
from avatar.geometry import (
    interpolate,
    quats_from_axis_angles,
    sample_surface,
)
from avatar.structs import Body, FieldShape, Pose, RadianceField, RaySamples, map_tensors

KINDS = [VertexBlend(), VertexBlend(learned_weights=True), TriangleAffine()]
BodyOf = Callable[[Pose], Body]


def body_of(random_pose: Pose, shape: float = 0.5) -> Body:
    model = load_body("cmu_mb")
    default = model.default_shape()
    return model(replace(default, values=torch.full_like(default.values, shape)), random_pose)


@pytest.fixture(scope="module")
def canonical() -> Body:
    model = load_body("cmu_mb")
    shaped = model.shaped(model.default_shape())
    return shaped.posed(spread_pose(shaped))


@pytest.fixture(scope="module")
def pose() -> Pose:
    generator = torch.Generator().manual_seed(0)
    turns = 0.3 * torch.randn(31, 3, generator=generator)
    return Pose(local_quats=quats_from_axis_angles(turns), root_position_world=torch.tensor([0.3, -0.2, 1.0]))


@pytest.fixture(scope="module")
def scene(canonical: Body) -> RadianceField:
    """Half a metre around the pelvis is inside; colours are canonical places."""
    centre = canonical.joints_world[0]
    tree = MeshTree(canonical.rest.faces, canonical.vertices_world)

    def shape(samples: RaySamples) -> FieldShape:
        assert samples.warped is not None
        offsets = samples.warped.points - centre
        distances = offsets.norm(dim=1) - 0.5
        normals = offsets / offsets.norm(dim=1, keepdim=True)
        return FieldShape(
            samples=samples,
            alphas=torch.sigmoid(-20 * distances),
            distances=distances,
            gradients=(samples.warped.linear.mT @ normals[..., None])[..., 0],
            canonical_normals=normals,
            features=samples.warped.points,
        )

    return RadianceField(
        shape=shape,
        radiance=lambda seen: seen.features,
        distance=lambda points: (points - centre).norm(dim=1) - 0.5,
        grid=band_grid(tree, 0.0125, 0.05),
        step_m=0.004,
    )


def samples_at(points: Tensor) -> RaySamples:
    directions = torch.nn.functional.normalize(torch.randn(points.shape, generator=torch.Generator().manual_seed(7)))
    return RaySamples(points=points, directions=directions, lengths=torch.full_like(points[:, 0], 0.004))


def around(body: Body, distance_m: float, count: int = 1000) -> Tensor:
    generator, vertices = torch.Generator().manual_seed(2), body.vertices_world.detach()
    triangles, barycentrics = sample_surface(vertices, body.rest.faces, count, generator)
    on_surface = interpolate(vertices, body.rest.faces[triangles], barycentrics)
    return on_surface + distance_m * torch.randn(count, 3, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_canonical_pose_the_field_is_where_it_was(kind: Warp, canonical: Body, scene: RadianceField) -> None:
    field = FieldDeformer(canonical, FieldDeformConfig(warp=kind))(scene, canonical)
    points = around(canonical, 0.01)
    seen = field.shape(samples_at(points))
    assert seen.samples.warped is not None
    torch.testing.assert_close(seen.samples.warped.points, points, atol=1e-5, rtol=0)
    distances = torch.where(seen.samples.warped.is_valid, scene.distance(points), 0.075)
    assert float(seen.samples.warped.is_valid.float().mean()) > 0.99
    torch.testing.assert_close(field.distance(points), distances, atol=1e-5, rtol=0)
    torch.testing.assert_close(field.radiance(seen), points, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [0.5, 0.8])
def test_vertices_of_every_pose_and_shape_go_to_the_canonical_ones(
    kind: Warp, shape: float, canonical: Body, scene: RadianceField, pose: Pose
) -> None:
    body = body_of(pose, shape)
    field = FieldDeformer(canonical, FieldDeformConfig(warp=kind))(scene, body)
    used = body.rest.faces.unique()
    places = field.shape(samples_at(body.vertices_world[used])).features.detach()
    errors = (places - canonical.vertices_world[used]).norm(dim=1)
    # Parts that touch in this pose share their places: the closest surface is then another part's.
    assert float(errors.quantile(0.97)) < 1e-5


@pytest.mark.parametrize("kind", KINDS[::2])
def test_far_from_the_origin_single_precision_suffices(kind: Warp, canonical: Body, pose: Pose) -> None:
    """A hundred metres away, where single precision knows places to 4 micrometres, nothing else is lost."""
    far = body_of(replace(pose, root_position_world=torch.tensor([80.0, -60.0, 1.0])))
    points, places = around(far, 0.003), []
    for dtype in (torch.float32, torch.float64):
        bodies = [
            map_tensors(body, lambda t, to=dtype: t.to(to) if t.is_floating_point() else t) for body in (canonical, far)
        ]
        tree = MeshTree(far.rest.faces, bodies[0].vertices_world)
        places.append(PosedSpace(tree, kind, *bodies).warp(points.to(dtype), 0.05).points.double())
    errors = (places[0] - places[1]).norm(dim=1)
    assert float(errors.quantile(0.97)) < 1e-6, "all but where the closest triangle, to the last bit, is another"


def test_the_band_goes_with_the_body_however_far(canonical: Body, scene: RadianceField, pose: Pose) -> None:
    shift = torch.tensor([80.0, -60.0, 1.0])
    deform = FieldDeformer(canonical, FieldDeformConfig())
    here = deform(scene, body_of(pose)).grid
    there = deform(scene, body_of(replace(pose, root_position_world=pose.root_position_world + shift))).grid
    torch.testing.assert_close(there.box, here.box + shift, atol=1e-4, rtol=0)
    assert float((there.occupied != here.occupied).float().mean()) < 1e-4


def test_deep_inside_the_body_there_is_nothing(canonical: Body, scene: RadianceField, pose: Pose) -> None:
    body = body_of(pose)
    field = FieldDeformer(canonical, FieldDeformConfig(reach_m=0.05))(scene, body)
    places = body.joints_world[0] + 0.3 * torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    distances = closest_points(places, MeshTree(body.rest.faces, body.vertices_world)).distances
    deep = places[distances < -0.07]
    assert len(deep) > 10
    assert not field.shape(samples_at(deep)).alphas.any()
    cells = ((deep - field.grid.box[0]) / 0.0125).long()
    assert not field.grid.occupied[tuple(cells.unbind(1))].any()


@pytest.mark.parametrize("kind", KINDS)
def test_places_pass_gradients_to_where_the_body_stands(
    kind: Warp, canonical: Body, scene: RadianceField, pose: Pose
) -> None:
    root = pose.root_position_world.clone().requires_grad_()
    body = body_of(replace(pose, root_position_world=root))
    seen = FieldDeformer(canonical, FieldDeformConfig(warp=kind))(scene, body).shape(samples_at(around(body, 0.01)))
    assert seen.samples.warped is not None
    (gradient,) = torch.autograd.grad(seen.features.sum(), root)
    torch.testing.assert_close(gradient, -seen.samples.warped.linear.detach().sum((0, 1)), atol=2e-2, rtol=1e-4)


def test_directions_and_normals_keep_their_angle(canonical: Body, scene: RadianceField, pose: Pose) -> None:
    field = FieldDeformer(canonical, FieldDeformConfig())(scene, body_of(pose))
    seen = field.shape(samples_at(around(body_of(pose), 0.02)))
    assert seen.samples.warped is not None
    turned = (seen.samples.warped.linear @ seen.samples.directions[..., None])[..., 0]
    in_world = (seen.gradients * seen.samples.directions).sum(1)
    torch.testing.assert_close(in_world, (seen.canonical_normals * turned).sum(1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_reach_there_is_nothing(kind: Warp, canonical: Body, scene: RadianceField, pose: Pose) -> None:
    body = body_of(pose)
    field = FieldDeformer(canonical, FieldDeformConfig(warp=kind, reach_m=0.02))(scene, body)
    points = around(body, 0.03)
    seen, near = field.shape(samples_at(points)), closest_points(points, MeshTree(body.rest.faces, body.vertices_world))
    is_far = near.distances.abs() > 0.0201
    assert 100 < int(is_far.sum()) < 900
    assert not seen.alphas[is_far].any()
    assert bool((field.distance(points)[is_far] == 0.02).all())
    assert float((seen.alphas[~is_far] > 0).float().mean()) > 0.95
    assert len(field.shape(samples_at(points[:0])).alphas) == 0


def test_the_grid_holds_what_the_canonical_grid_holds(canonical: Body, scene: RadianceField, pose: Pose) -> None:
    body = body_of(pose)
    deform = FieldDeformer(canonical, FieldDeformConfig())
    wide = deform(scene, body).grid
    half = scene.grid.occupied.clone()
    half[: len(half) // 2] = False
    narrow = deform(replace(scene, grid=scene.grid._replace(occupied=half)), body).grid
    assert bool((wide.occupied | ~narrow.occupied).all())
    assert 0.3 < int(narrow.occupied.sum()) / int(wide.occupied.sum()) < 0.7
    points = around(body, 0.015)
    for grid, canonical_grid in ((wide, scene.grid), (narrow, scene.grid._replace(occupied=half))):
        cells = ((points - grid.box[0]) / 0.0125).long()
        places = deform(scene, body).shape(samples_at(points)).features
        is_held = occupied_at(canonical_grid, places)
        assert float(grid.occupied[tuple(cells.unbind(1))][is_held].float().mean()) > 0.995


def occupied_at(grid: OccupancyGrid, points: Tensor) -> Tensor:
    sizes = torch.tensor(grid.occupied.shape)
    cells = ((points - grid.box[0]) / (grid.box[1] - grid.box[0]) * sizes).floor().long()
    is_inside = ((cells >= 0) & (cells < sizes)).all(1)
    return grid.occupied[tuple(cells.clamp_min(0).minimum(sizes - 1).unbind(1))] & is_inside


def test_bands_are_kept_for_captured_frames_while_the_pose_stays(
    canonical: Body, scene: RadianceField, pose: Pose, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(
        PosedSpace, "band", lambda self, *args, make=PosedSpace.band: made.append(0) or make(self, *args)
    )
    deform = FieldDeformer(canonical, FieldDeformConfig())
    captured, free = body_of(replace(pose, frame_id=3)), body_of(pose)
    deform(scene, free)
    first = deform(scene, captured).grid
    assert len(made) == 2, "a pose that comes from elsewhere is not kept"
    assert torch.equal(deform(scene, captured).grid.occupied, first.occupied)
    assert len(made) == 2
    tighter = scene.grid._replace(occupied=torch.zeros_like(scene.grid.occupied))
    assert not deform(replace(scene, grid=tighter), captured).grid.occupied.any()
    assert len(made) == 2, "the band does not depend on what the canonical grid says"
    refined = body_of(replace(pose, frame_id=3, root_position_world=pose.root_position_world + 0.01))
    for _ in range(2):
        deform(scene, refined)
        assert len(made) == 3
    shorter, wider = scene.grid.occupied[:, :, :-1].contiguous(), 1.1 * scene.grid.box
    for count, grid in ((4, OccupancyGrid(shorter, scene.grid.box)), (5, OccupancyGrid(shorter, wider))):
        deform(replace(scene, grid=grid), refined)
        assert len(made) == count, "other canonical cells"


def test_a_field_stays_in_its_pose_when_another_is_asked_for(canonical: Body, scene: RadianceField, pose: Pose) -> None:
    deform = FieldDeformer(canonical, FieldDeformConfig())
    points = around(body_of(pose), 0.01)
    field = deform(scene, body_of(pose))
    before = field.shape(samples_at(points)).features
    deform(scene, canonical).shape(samples_at(points))
    assert torch.equal(field.shape(samples_at(points)).features, before)


def test_light_multiplies_colours_where_training_stood_and_the_code_arrives(
    canonical: Body, scene: RadianceField, pose: Pose
) -> None:
    body, there = body_of(pose), pose.root_position_world + torch.tensor([0.0, 2.0, 0.0])
    training = Pose(local_quats=pose.local_quats[None], root_position_world=there[None])
    deform = FieldDeformer(canonical, FieldDeformConfig())
    points = around(body, 0.01)
    plain = deform(scene, body).shape(samples_at(points))
    for sees_directions in (True, False):
        deform.light = LightField(training, LightFieldConfig(hidden=8, sees_directions=sees_directions))
        deform.code = FieldCodes(training, [0], FieldCodesConfig(num_features=1))
        nn.init.normal_(deform.light.coefficients)
        lit = deform(scene, body)
        seen = lit.shape(samples_at(points))
        assert seen.samples.code is not None
        assert torch.equal(seen.samples.code, deform.code(pose))
        directions = plain.samples.directions if sees_directions else None
        gain = deform.light(plain.normals, points + torch.tensor([0.0, 2.0, 0.0]), directions)
        torch.testing.assert_close(lit.radiance(seen), scene.radiance(plain) * gain, atol=1e-5, rtol=1e-4)


def test_learnt_weights_get_gradients_from_places_and_normals(
    canonical: Body, scene: RadianceField, pose: Pose
) -> None:
    body = body_of(pose)
    deform = FieldDeformer(canonical, FieldDeformConfig(warp=VertexBlend(learned_weights=True)))
    assert deform.weight_logits is not None
    seen = deform(scene, body).shape(samples_at(around(body, 0.01)))
    for value in (seen.features.sum(), seen.gradients[:, 0].sum()):
        (gradient,) = torch.autograd.grad(value, deform.weight_logits, retain_graph=True)
        assert gradient.isfinite().all()
        assert float(gradient.abs().max()) > 1e-3
    assert [name for name, _ in FieldDeformer(canonical, FieldDeformConfig()).named_parameters()] == []


@pytest.mark.parametrize("name", ["reach_m", "cell_m"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_lengths_are_positive(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"FieldDeformConfig\.{name}: expected a positive number"):
        replace(FieldDeformConfig(), **{name: value})


def test_it_moves_with_its_precision(canonical: Body, pose: Pose) -> None:
    deform = FieldDeformer(canonical, FieldDeformConfig()).to(torch.float64)
    assert deform.canonical_body.posed_from_rest.dtype == torch.float64
    assert deform.canonical_body.rest.faces.dtype == torch.int64
