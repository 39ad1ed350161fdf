"""The whole way from canonical to world."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from avatar.deform import (
    Blended,
    CorrectivesConfig,
    DeformConfig,
    Deformer,
    DualQuaternion,
    LearnedMix,
    LightField,
    LightFieldConfig,
    Linear,
    NormalLightConfig,
    Skinning,
)
from avatar.deform.deformer import Light
from avatar.deform.normal_light import NormalLight
from avatar.deform.skinning import SkinWeights, skin, skin_mesh
from avatar.engine import Skinnable
from avatar.geometry import SH_C0, matrices_from_axis_angles, quats_from_axis_angles
from avatar.structs import Body, Gaussians, Mesh, Pose

BodyOf = Callable[[Pose], Body]
FRAME_IDS = (0, 1, 2, 3, 4, 5)
MODES = CorrectivesConfig(num_modes=2, num_control_points=30, num_features=3, hidden=4)
NO_MODES = replace(MODES, num_modes=0)
NORMAL = NormalLightConfig()


def deformer(
    tube: Mesh, poses: Pose, modes: CorrectivesConfig, light: Light | None, kind: Skinning | None = None
) -> Deformer:
    torch.manual_seed(0)
    config = DeformConfig(skinning=kind or Linear(), correctives=modes, light=light)
    return Deformer(tube, poses, FRAME_IDS, config)


def moved(deform: Deformer, scene: Gaussians, body: Body) -> Gaussians:
    out = deform(scene, body)
    assert isinstance(out, Gaussians)
    return out


def test_parts_are_left_out(tube: Mesh, random_poses: Pose) -> None:
    assert not list(deformer(tube, random_poses, NO_MODES, light=None).parameters())
    names = {name.split(".")[0] for name, _ in deformer(tube, random_poses, MODES, light=NORMAL).named_parameters()}
    assert names == {"correctives", "light"}


def test_a_mesh_is_skinned(tube: Mesh, random_poses: Pose, body_of: BodyOf) -> None:
    body = body_of(random_poses[0])
    for kind in (Linear(), Blended(dqs_fraction=0.5)):
        out = deformer(tube, random_poses, MODES, NORMAL, kind)(tube, body)
        assert isinstance(out, Mesh)
        torch.testing.assert_close(out.vertices, skin_mesh(tube, body, kind).vertices)


def test_free_gaussians_are_refused(tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians) -> None:
    with pytest.raises(ValueError, match="expected Gaussians bound to a mesh"):
        deformer(tube, random_poses, MODES, NORMAL)(replace(gaussians, binding=None), body_of(random_poses[0]))


def test_size_and_opacity_stay(tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians) -> None:
    out = moved(deformer(tube, random_poses, MODES, NORMAL), gaussians, body_of(random_poses[0]))
    assert out.scales is gaussians.scales
    assert out.opacities is gaussians.opacities
    assert out.binding is gaussians.binding


def test_without_modes_and_light_colour_stays(
    tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    plain = deformer(tube, random_poses, NO_MODES, light=None)
    out = moved(plain, gaussians, body_of(random_poses[0]))
    torch.testing.assert_close(out.sh, gaussians.sh)
    lit = moved(deformer(tube, random_poses, NO_MODES, light=NORMAL), gaussians, body_of(random_poses[0]))
    torch.testing.assert_close(lit.sh, gaussians.sh)
    torch.testing.assert_close(lit.means, out.means)


@torch.no_grad()
def test_correctives_work_in_the_canonical_pose(
    tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    """An offset along x of a body that is turned by a quarter about z goes along y."""
    deform = deformer(tube, random_poses, MODES, light=None)
    assert deform.correctives is not None
    deform.correctives.modes.zero_()
    deform.correctives.modes[0, :, 0] = 1.0
    deform.correctives.modes[0, :, 5] = 1.0
    quarter = torch.tensor([0.0, 0.0, torch.pi / 2])
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(12, 1)
    quats[0] = quats_from_axis_angles(quarter)
    body = body_of(Pose(local_quats=quats, root_position_world=torch.zeros(3)))
    amount = deform.correctives.coefficients(body.pose)[0]
    out = moved(deform, gaussians, body)
    expected = gaussians.means @ matrices_from_axis_angles(quarter).T
    torch.testing.assert_close(out.means, expected + 0.05 * amount * torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    added = SH_C0 * (out.sh - gaussians.sh)
    torch.testing.assert_close(added[:, 0], (0.3 * amount * torch.tensor([0.0, 0, 1])).expand(200, 3))
    assert not bool(added[:, 1:].any())


@torch.no_grad()
def test_light_multiplies_all_of_the_colour_by_the_posed_normal(
    tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    deform = deformer(tube, random_poses, NO_MODES, light=NORMAL)
    assert isinstance(deform.light, NormalLight)
    deform.light.coefficients[2] = 0.5
    tilt = torch.tensor([1.2, 0.0, 0.0])
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(12, 1)
    quats[0] = quats_from_axis_angles(tilt)
    out = moved(deform, gaussians, body_of(Pose(local_quats=quats, root_position_world=torch.zeros(3))))
    assert gaussians.binding is not None
    heights = (gaussians.binding.normals @ matrices_from_axis_angles(tilt).T)[:, 2:]
    factor = 1 + 0.5 * heights
    torch.testing.assert_close(out.sh[:, 0] * SH_C0 + 0.5, factor * (gaussians.sh[:, 0] * SH_C0 + 0.5))
    torch.testing.assert_close(out.sh[:, 1:], factor[:, None] * gaussians.sh[:, 1:])


@torch.no_grad()
def test_a_light_field_multiplies_all_of_the_colour(
    tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    """By its gain at posed normals and places; a body out of its reach is lit as if it stood in it."""
    plain = deformer(tube, random_poses, MODES, None)
    lit = deformer(tube, random_poses, MODES, LightFieldConfig(hidden=5, sees_directions=False))
    assert isinstance(lit.light, LightField)
    assert gaussians.binding is not None
    lit.light.coefficients.normal_()
    *_, last, _ = lit.light.parameters()
    last.normal_()
    far = replace(random_poses[2], root_position_world=torch.tensor([0.0, 0.0, 40.0]))
    for pose in (random_poses[2], far):
        before, after = (moved(deform, gaussians, body_of(pose)) for deform in (plain, lit))
        posed = skin(
            Skinnable(gaussians.means, gaussians.quats, gaussians.binding.normals),
            SkinWeights.of_binding(gaussians.binding, body_of(pose)),
            body_of(pose),
            Linear(),
        )
        gain = lit.light(posed.normals, before.means + lit.light.shift(pose.root_position_world))
        assert float(gain.amax() - gain.amin()) > 0.3
        torch.testing.assert_close(after.sh[:, 0] * SH_C0 + 0.5, gain * (before.sh[:, 0] * SH_C0 + 0.5))
        torch.testing.assert_close(after.sh[:, 1:], gain[:, None] * before.sh[:, 1:])


def test_gaussians_have_no_light_that_sees_directions() -> None:
    with pytest.raises(ValueError, match=r"DeformConfig\.light\.sees_directions: expected False"):
        DeformConfig(light=LightFieldConfig())


@pytest.mark.parametrize("kind", [Linear(), Blended(dqs_fraction=0.4), DualQuaternion(), LearnedMix()])
def test_the_jacobian_carries_what_lies_around_a_gaussian(
    kind: Skinning, tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    """A second Gaussian a little aside, bound to the same place, ends where the first one's linear map puts it."""
    body, generator = body_of(random_poses[3]), torch.Generator().manual_seed(4)
    plain = Deformer(tube, random_poses, FRAME_IDS, DeformConfig(skinning=kind, correctives=NO_MODES))
    sheared = Deformer(tube, random_poses, FRAME_IDS, replace(plain.config, covariance="jacobian"))
    aside = torch.randn(200, 3, generator=generator)
    out = moved(sheared, gaussians, body)
    assert out.linear is not None
    assert out.quats is gaussians.quats
    assert moved(plain, gaussians, body).linear is None
    shift = moved(plain, replace(gaussians, means=gaussians.means + aside), body).means - out.means
    torch.testing.assert_close((out.linear @ aside[..., None])[..., 0], shift, atol=2e-6, rtol=0)
    before = torch.randn(200, 3, 3, generator=generator)
    after = moved(sheared, replace(gaussians, linear=before), body).linear
    torch.testing.assert_close(after, out.linear @ before, atol=2e-6, rtol=1e-5)


def test_another_binding_is_seen(tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians) -> None:
    deform, body = deformer(tube, random_poses, MODES, NORMAL), body_of(random_poses[1])
    whole, binding = moved(deform, gaussians, body), gaussians.binding
    assert binding is not None
    rows = torch.arange(199, -1, -3)
    some = Gaussians(
        **{name: getattr(gaussians, name)[rows] for name in ("means", "quats", "scales", "opacities", "sh")},
        binding=replace(
            binding,
            triangles=binding.triangles[rows],
            barycentrics=binding.barycentrics[rows],
            normals=binding.normals[rows],
        ),
    )
    out = moved(deform, some, body)
    for name in ("means", "quats", "sh"):
        torch.testing.assert_close(getattr(out, name), getattr(whole, name)[rows], atol=1e-6, rtol=1e-5)


def test_gradient_reaches_every_parameter(
    tube: Mesh, random_poses: Pose, body_of: BodyOf, gaussians: Gaussians
) -> None:
    deform = deformer(tube, random_poses, MODES, NORMAL)
    out = moved(deform, gaussians, body_of(replace(random_poses[1], frame_id=1)))
    (out.means.square().sum() + out.sh.square().sum()).backward()
    for name, parameter in deform.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
