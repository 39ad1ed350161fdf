"""The avatar as its users hold it."""

from collections.abc import Iterator
from dataclasses import is_dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from avatar.body import load_body
from avatar.canonical import HybridConfig, clothed_surface
from avatar.deform import CorrectivesConfig, DeformConfig, RefineConfig
from avatar.geometry import lbs, matrices_from_axis_angles, matrices_from_quats, multiply_quats, normalize_quats
from avatar.geometry import quats_from_axis_angles as turn
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Gaussians, Pose, Rendering, map_tensors

FRAME_IDS = (4, 8, 15)
NO_MODES = CorrectivesConfig(num_modes=0)
PLAIN = HybridAvatarConfig(canonical=HybridConfig(num_gaussians=400), deform=DeformConfig(correctives=NO_MODES))
FULL = HybridAvatarConfig(
    canonical=HybridConfig(num_gaussians=400, sh_degree=1),
    deform=DeformConfig(correctives=CorrectivesConfig(num_modes=2, num_control_points=50)),
    refine=RefineConfig(poses=True, joints=True, cameras=True, exposure=True),
)


def poses_of(rig: str) -> Pose:
    joints = len(load_body(rig).parents)
    generator = torch.Generator().manual_seed(0)
    return Pose(
        local_quats=turn(0.2 * torch.randn(3, joints, 3, generator=generator)),
        root_position_world=torch.randn(3, 3, generator=generator),
    )


def avatar(config: HybridAvatarConfig, rig: str = "anny", seed: int = 0) -> HybridAvatar:
    shape = load_body(rig).default_shape()
    return HybridAvatar(
        shape=shape,
        poses=poses_of(rig),
        frame_ids=FRAME_IDS,
        config=config,
        rig=rig,
        cameras=("left", "right"),
        seed=seed,
    )


@pytest.mark.parametrize("rig", ["anny", "cmu_mb"])
def test_posed_is_the_three_steps(rig: str) -> None:
    person = avatar(FULL, rig)
    pose = poses_of(rig)[1]
    scene = person.deform(person.canonical(), person.body(person.shape, pose))
    posed = person.posed(pose)
    assert isinstance(scene, Gaussians)
    for name in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.equal(getattr(posed, name), getattr(scene, name))


@torch.no_grad()
def test_at_rest_it_is_its_canonical_self() -> None:
    person = avatar(PLAIN)
    rest = load_body().shaped(person.shape).rest_pose()
    canonical, posed = person.canonical(), person.posed(rest)
    torch.testing.assert_close(posed.means, canonical.means, atol=2e-6, rtol=0)
    torch.testing.assert_close(posed.sh, canonical.sh)


@torch.no_grad()
def test_the_clothed_mesh_is_the_template_in_its_shell() -> None:
    """At rest it is its canonical self; posed, its vertices go where the body's skinning takes them."""
    person, pose = avatar(PLAIN), poses_of("anny")[1]
    shell = 0.01 * torch.randn(person.template.vertices.shape, generator=torch.Generator().manual_seed(0))
    person.canonical.shell = shell
    canonical, posed = person.clothed_mesh(), person.clothed_mesh(pose)
    torch.testing.assert_close(canonical.vertices, person.template.vertices + shell)
    body = person.body(person.shape, pose)
    expected = lbs(canonical.vertices, body.bone_ids, body.bone_weights, body.posed_from_rest)
    used = torch.unique(posed.faces)
    torch.testing.assert_close(posed.vertices[used], expected[used], atol=1e-5, rtol=0)
    surface = clothed_surface(person.canonical)
    assert torch.equal(person.clothed_mesh(pose, surface).vertices, posed.vertices), "made before or on the way"
    assert posed.colors is not None
    torch.testing.assert_close(posed.colors[used], torch.full((len(used), 3), 0.3))


@torch.no_grad()
def test_the_person_goes_where_the_root_goes() -> None:
    person, pose = avatar(PLAIN), poses_of("anny")[0]
    axis_angle, shift = torch.tensor([0.1, -0.4, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    quats = pose.local_quats.clone()
    quats[0] = multiply_quats(turn(axis_angle), quats[0])
    here, there = person.posed(pose), person.posed(replace(pose, local_quats=quats, root_position_world=shift))
    rotation, root = matrices_from_axis_angles(axis_angle), pose.root_position_world
    torch.testing.assert_close(there.means, (here.means - root) @ rotation.T + shift, atol=1e-5, rtol=0)
    before, after = (matrices_from_quats(normalize_quats(g.quats)) for g in (here, there))
    torch.testing.assert_close(after, rotation @ before, atol=1e-5, rtol=0)


@torch.no_grad()
def test_gaussians_follow_the_surface() -> None:
    """They sit on the posed triangles that they are rooted on, up to what linear skinning bends between corners."""
    person, pose = avatar(PLAIN), poses_of("anny")[2]
    body = person.body(person.shape, pose)
    corners = body.vertices_world[person.template.faces[person.canonical.triangles]]
    on_surface = (person.canonical.barycentrics[..., None] * corners).sum(1)
    torch.testing.assert_close(person.posed(pose).means, on_surface, atol=2e-3, rtol=0)


@torch.no_grad()
def test_another_shape_may_wear_the_pose() -> None:
    person = avatar(PLAIN)
    tall = replace(person.shape, values=person.shape.values.clone())
    tall.values[tall.names.index("height")] = 0.9
    pose = poses_of("anny")[0]
    bodies = person.body(person.shape, pose), person.body(tall, pose)
    heights = [body.vertices_world.amax(0) - body.vertices_world.amin(0) for body in bodies]
    assert float(heights[1][2]) > 1.05 * float(heights[0][2])


@torch.no_grad()
def test_what_was_learnt_of_the_capture_counts() -> None:
    person, pose = avatar(FULL), poses_of("anny")[1]
    refinement = person.refinement
    assert refinement.poses
    assert refinement.joints
    assert refinement.cameras
    assert person.exposure
    here = person.body(person.shape, pose).joints_world[0]
    refinement.poses.shifts[:] = torch.tensor([0.0, 0.0, 0.5])
    refinement.cameras.shifts[0, 0] = 0.2
    for camera, x in (("left", 0.1), ("right", -0.1), ("top", 0.0), (None, 0.0)):
        moved = person.body(person.shape, pose, camera).joints_world[0] - here
        torch.testing.assert_close(moved, torch.tensor([x, 0.0, 0.5]), atol=1e-5, rtol=0)
    refinement.joints.offsets[0, 1] = 0.3
    at_rest = [whose.body(whose.shape, pose).joints_rest[0, 1] for whose in (person, avatar(PLAIN))]
    assert float(at_rest[0] - at_rest[1]) == pytest.approx(0.3)
    person.exposure.biases[0] = 0.2
    black = Rendering(color=torch.zeros(1, 1, 3), alpha=torch.ones(1, 1))
    assert float(person.exposed(black, "right").color[0, 0, 0]) == pytest.approx(-0.1)
    assert float(person.correction_cost()) > 0


def test_without_refinement_nothing_of_it_is_there() -> None:
    person = avatar(PLAIN)
    assert not any(name.startswith(("refinement", "exposure")) for name in person.state_dict())
    assert person.correction_cost() == 0
    image = Rendering(color=torch.zeros(1, 1, 3), alpha=torch.ones(1, 1))
    assert person.exposed(image, "left") is image


def test_the_seed_decides_and_leaves_the_callers_randomness_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, again, other = (avatar(FULL, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], again[name]) for name in one)
    differing = {name for name in one if not torch.equal(one[name], other[name])}
    assert {"canonical.barycentrics", "deform.correctives.encoder.0.weight"} <= differing


def test_gradient_reaches_every_parameter() -> None:
    person = avatar(FULL)
    posed = person.posed(replace(poses_of("anny")[0], frame_id=4), "left")
    generator = torch.Generator().manual_seed(0)
    image = person.exposed(Rendering(color=torch.rand(2, 2, 3), alpha=torch.ones(2, 2)), "left")
    outputs = (posed.means, posed.quats, posed.scales, posed.opacities, posed.sh, image.color)
    torch.stack([(out * torch.randn(out.shape, generator=generator)).sum() for out in outputs]).sum().backward()
    for name, parameter in person.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_unknown_rigs_are_refused() -> None:
    poses, shape = poses_of("anny"), load_body().default_shape()
    with pytest.raises(ValueError, match=r"rig: expected one of anny, cmu_mb, .*found 'mixamo'"):
        HybridAvatar(shape=shape, poses=poses, frame_ids=FRAME_IDS, config=PLAIN, rig="mixamo")


def test_poses_must_be_the_rigs_and_as_many_as_frames() -> None:
    shape = load_body().default_shape()
    for rig, frame_ids in (("cmu_mb", FRAME_IDS), ("anny", FRAME_IDS[:2])):
        with pytest.raises(ValueError, match=r"poses\.local_quats: expected .* got \(3, 104, 4\)"):
            HybridAvatar(shape=shape, poses=poses_of("anny"), frame_ids=frame_ids, config=PLAIN, rig=rig)


def tensors_in(holder: object, path: str = "avatar") -> Iterator[tuple[str, Tensor]]:
    """Every tensor that can be reached from a module or a record, with the way there."""
    if isinstance(holder, Tensor):
        yield path, holder
    elif isinstance(holder, nn.Module) or is_dataclass(holder):
        yield from tensors_in(vars(holder), path)
    elif isinstance(holder, dict):
        for name, value in holder.items():
            yield from tensors_in(value, f"{path}.{name}")
    elif isinstance(holder, tuple | list):
        for index, value in enumerate(holder):
            yield from tensors_in(value, f"{path}[{index}]")


@torch.no_grad()
@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
def test_everything_it_holds_moves_with_it(config: HybridAvatarConfig) -> None:
    """To another precision here: what goes to a device takes the same way."""
    person, pose = avatar(config), poses_of("anny")[1]
    before = person.posed(pose)
    shared = load_body().rig.bone_weights
    assert person.to(torch.float64) is person
    after = person.posed(map_tensors(pose, Tensor.double))
    found = {path: tensor.dtype for path, tensor in tensors_in(person) if tensor.is_floating_point()}
    assert {path for path, dtype in found.items() if dtype != torch.float64} == set()
    assert {"avatar.shape.values", "avatar._shaped.rig.bone_weights", "avatar.canonical.roots"} <= {
        path.replace("_modules.", "").replace("_buffers.", "") for path in found
    }
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(after, name).float(), getattr(before, name), atol=2e-5, rtol=1e-4)
    assert load_body().rig.bone_weights is shared
    assert shared.dtype == torch.float32


@torch.no_grad()
def test_after_moving_another_shape_is_of_the_same_precision() -> None:
    person = avatar(PLAIN).to(torch.float64)
    other = replace(person.shape, values=person.shape.values.clone())
    pose = map_tensors(poses_of("anny")[0], Tensor.double)
    body = person.body(other, pose)
    torch.testing.assert_close(body.vertices_world, person.body(person.shape, pose).vertices_world, atol=1e-6, rtol=0)


@pytest.mark.cuda
@torch.no_grad()
def test_on_cuda_it_poses_as_on_the_cpu() -> None:
    pose = poses_of("anny")[1]
    here, there = avatar(FULL).posed(pose), avatar(FULL).to("cuda").posed(pose.to("cuda"))
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(there, name).cpu(), getattr(here, name), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("frame_ids", [(0, 0, 1), (0, 1, 2**24), (-1, 0, 1)])
def test_frames_that_cannot_be_told_apart_are_refused(frame_ids: tuple[int, ...]) -> None:
    model = load_body("cmu_mb")
    rest = model.rest_pose()
    poses = Pose(
        local_quats=rest.local_quats.expand(3, -1, -1), root_position_world=rest.root_position_world.expand(3, -1)
    )
    with pytest.raises(ValueError, match="frame_ids: expected different numbers"):
        HybridAvatar(shape=model.default_shape(), poses=poses, frame_ids=frame_ids, config=PLAIN, rig="cmu_mb")
