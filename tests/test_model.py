"""The avatar as its users hold it."""

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig
from avatar.geometry import matrices_from_axis_angles, matrices_from_quats, multiply_quats, normalize_quats
from avatar.geometry import quats_from_axis_angles as turn
from avatar.model import Avatar, AvatarConfig
from avatar.structs import Body, Gaussians, Pose

FRAME_IDS = (4, 8, 15)
NO_MODES = CorrectivesConfig(num_modes=0)
PLAIN = AvatarConfig(canonical=HybridConfig(num_gaussians=400), deform=DeformConfig(correctives=NO_MODES, light=False))
FULL = AvatarConfig(
    canonical=HybridConfig(num_gaussians=400, sh_degree=1),
    deform=DeformConfig(correctives=CorrectivesConfig(num_modes=2, num_control_points=50)),
    refine_poses=True,
)


def poses_of(rig: str) -> Pose:
    joints = len(load_body(rig).parents)
    generator = torch.Generator().manual_seed(0)
    return Pose(
        local_quats=turn(0.2 * torch.randn(3, joints, 3, generator=generator)),
        root_position_world=torch.randn(3, 3, generator=generator),
    )


def avatar(config: AvatarConfig, rig: str = "anny", seed: int = 0) -> Avatar:
    shape = load_body(rig).default_shape()
    return Avatar(shape=shape, poses=poses_of(rig), frame_ids=FRAME_IDS, config=config, rig=rig, seed=seed)


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
def test_only_training_frames_are_refined() -> None:
    person, pose = avatar(FULL), poses_of("anny")[1]
    assert person.refinement is not None
    person.refinement.shifts[1] = torch.tensor([0.0, 0.0, 0.5])

    def height(body: Body) -> float:
        return float(body.joints_world[0, 2] - pose.root_position_world[2])

    for frame_id, expected in ((8, 0.5), (4, 0.0), (5, 0.0), (None, 0.0)):
        body = person.body(person.shape, replace(pose, frame_id=frame_id))
        assert height(body) == pytest.approx(expected, abs=1e-5)
    assert avatar(PLAIN).refinement is None


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
    posed = person.posed(replace(poses_of("anny")[0], frame_id=4))
    generator = torch.Generator().manual_seed(0)
    outputs = (posed.means, posed.quats, posed.scales, posed.opacities, posed.sh)
    torch.stack([(out * torch.randn(out.shape, generator=generator)).sum() for out in outputs]).sum().backward()
    for name, parameter in person.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_unknown_rigs_are_refused() -> None:
    poses, shape = poses_of("anny"), load_body().default_shape()
    with pytest.raises(ValueError, match="rig: expected one of anny, cmu_mb, found 'mixamo'"):
        Avatar(shape=shape, poses=poses, frame_ids=FRAME_IDS, config=PLAIN, rig="mixamo")


def test_poses_must_be_the_rigs_and_as_many_as_frames() -> None:
    shape = load_body().default_shape()
    for rig, frame_ids in (("cmu_mb", FRAME_IDS), ("anny", FRAME_IDS[:2])):
        with pytest.raises(ValueError, match=r"poses\.local_quats: expected .* got \(3, 104, 4\)"):
            Avatar(shape=shape, poses=poses_of("anny"), frame_ids=frame_ids, config=PLAIN, rig=rig)
