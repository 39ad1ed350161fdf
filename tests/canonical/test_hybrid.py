"""Gaussians rooted on a box: where they start, and how each parameter moves them."""

import math
from typing import Any

import pytest
import torch
import trimesh
from torch import Tensor, nn

from avatar.canonical import Hybrid, HybridConfig
from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.geometry import (
    SH_C0,
    matrices_from_axis_angles,
    matrices_from_quats,
    multiply_quats,
    normalize_quats,
    quats_from_axis_angles,
    rotate_points,
    triangle_areas,
    triangle_frames,
)
from avatar.structs import Gaussians, Mesh

EXTENTS_M = torch.tensor([0.2, 0.4, 0.8])


def box() -> Mesh:
    """Twelve triangles around the origin, outwards counter-clockwise."""
    mesh = trimesh.creation.box(extents=EXTENTS_M.tolist())
    return Mesh(vertices=torch.tensor(mesh.vertices, dtype=torch.float32), faces=torch.tensor(mesh.faces))


def hybrid(num_gaussians: int = 100, sh_degree: int = 0, seed: int = 0) -> Hybrid:
    return Hybrid(box(), HybridConfig(num_gaussians=num_gaussians, sh_degree=sh_degree), seed)


@torch.no_grad()
def shaken(canonical: Hybrid) -> Hybrid:
    """The same Gaussians with every parameter moved."""
    generator = torch.Generator().manual_seed(1)
    for parameter in canonical.parameters():
        parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return canonical


def rotations(gaussians: Gaussians) -> Tensor:
    return matrices_from_quats(normalize_quats(gaussians.quats))


@pytest.mark.parametrize("count", [1, 5, 12, 13, 500])
def test_they_start_on_the_surface(count: int) -> None:
    gaussians = hybrid(count)()
    beyond = gaussians.means.abs() - EXTENTS_M / 2
    assert len(gaussians.means) == count
    assert bool((beyond < 1e-6).all())
    assert bool((beyond.abs() < 1e-6).any(1).all()), "each lies in one of the six sides"


def test_roots_are_barycentric_points() -> None:
    canonical = hybrid()
    assert bool((canonical.barycentrics >= 0).all())
    torch.testing.assert_close(canonical.barycentrics.sum(1), torch.ones(100))
    corners = box().vertices[box().faces[canonical.triangles]]
    torch.testing.assert_close(canonical().means, (canonical.barycentrics[..., None] * corners).sum(1))


def test_every_triangle_has_one_and_the_rest_go_by_area() -> None:
    counts = torch.bincount(hybrid(1212).triangles, minlength=12)
    areas = triangle_areas(box().vertices, box().faces)
    assert bool(((counts - 1 - 1200 * areas / areas.sum()).abs() <= 2).all())


def test_fewer_than_triangles_go_by_area() -> None:
    """The two ends of the box hold a seventh of its area in a third of its triangles."""
    at_ends = torch.stack([hybrid(7, seed=seed)().means[:, 2].abs() > 0.3999 for seed in range(100)])
    assert float(at_ends.float().mean()) == pytest.approx(1 / 7, abs=0.03)


@pytest.mark.parametrize("count", [5, 12, 400])
def test_their_shares_of_area_make_up_the_surface(count: int) -> None:
    config = HybridConfig(num_gaussians=count, relative_size=0.6, relative_thickness=0.1)
    scales = Hybrid(box(), config)().scales.detach()
    shares = (scales[:, 0] / 0.6).square()
    expected = 2 * (0.2 * 0.4 + 0.2 * 0.8 + 0.4 * 0.8)
    assert float(shares.sum()) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(scales, scales[:, :1] * torch.tensor([1.0, 1.0, 0.1]))


def test_none_starts_too_small() -> None:
    scales = Hybrid(box(), HybridConfig(num_gaussians=50, smallest_m=0.3))().scales
    torch.testing.assert_close(scales, torch.tensor([0.3, 0.3, 0.075]).expand(50, 3))


def test_they_lie_flat_and_know_their_normals() -> None:
    canonical = hybrid()
    gaussians = canonical()
    assert gaussians.binding is not None
    normals = gaussians.binding.normals
    sides = gaussians.means / (EXTENTS_M / 2)
    torch.testing.assert_close((normals * sides).sum(1), torch.ones(100))
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(100))
    torch.testing.assert_close(rotations(gaussians)[..., 2], normals)


@torch.no_grad()
def test_offsets_are_along_first_edge_bitangent_and_normal() -> None:
    canonical = hybrid()
    before = canonical().means
    corners = box().vertices[box().faces[canonical.triangles]]
    tangents = nn.functional.normalize(corners[:, 1] - corners[:, 0], dim=1)
    normals = canonical.binding.normals
    for axis, direction in enumerate([tangents, torch.linalg.cross(normals, tangents), normals]):
        canonical.offsets.zero_()
        canonical.offsets[:, axis] = 0.03
        torch.testing.assert_close(canonical().means, before + 0.03 * direction)


@torch.no_grad()
def test_rotations_are_relative_to_the_triangle_whatever_their_length() -> None:
    canonical = hybrid()
    turn = torch.tensor([0.3, -0.2, 0.9])
    canonical.quats.copy_(7.0 * quats_from_axis_angles(turn))
    frames = triangle_frames(box().vertices, box().faces)[canonical.triangles]
    torch.testing.assert_close(rotations(canonical()), frames @ matrices_from_axis_angles(turn), atol=1e-6, rtol=0)


@torch.no_grad()
def test_displacement_moves_them_by_interpolation() -> None:
    """Interpolation is exact for any field that is linear over the surface; orientations do not follow it."""
    canonical = shaken(hybrid())
    canonical.displacement.zero_()
    before, field = canonical(), torch.tensor([[0.1, 0.2, 0.0], [0.0, -0.3, 0.1], [0.2, 0.0, 0.1]])
    canonical.displacement.copy_(box().vertices @ field.T + 0.5)
    after = canonical()
    torch.testing.assert_close(after.means, before.means + canonical.roots @ field.T + 0.5)
    assert torch.equal(after.quats, before.quats)


def test_they_turn_with_the_template() -> None:
    turn, shift = matrices_from_axis_angles(torch.tensor([0.4, 1.2, -0.7])), torch.tensor([3.0, -1.0, 0.5])
    still = shaken(hybrid(seed=3))
    with torch.no_grad():
        still.displacement.zero_()
    moved = Hybrid(Mesh(vertices=box().vertices @ turn.T + shift, faces=box().faces), still.config, 3)
    moved.load_state_dict(still.state_dict())
    moved.rebind()
    torch.testing.assert_close(moved().means, still().means @ turn.T + shift, atol=2e-6, rtol=0)
    torch.testing.assert_close(rotations(moved()), turn @ rotations(still()), atol=2e-6, rtol=0)


@torch.no_grad()
def test_stored_forms_mean_what_their_names_say() -> None:
    canonical = shaken(hybrid(sh_degree=2))
    gaussians = canonical()
    torch.testing.assert_close(gaussians.scales.log(), canonical.log_scales.data)
    torch.testing.assert_close(gaussians.opacities.logit(), canonical.opacity_logits.data, atol=1e-5, rtol=0)
    torch.testing.assert_close(gaussians.sh[:, 0] * SH_C0 + 0.5, canonical.colors.data)
    assert gaussians.sh.shape == (100, 9, 3)
    assert torch.equal(gaussians.sh[:, 1:], canonical.sh_rest)


def test_gradient_reaches_every_parameter() -> None:
    canonical = shaken(hybrid(sh_degree=1))
    gaussians = canonical()
    generator = torch.Generator().manual_seed(2)
    outputs = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    torch.stack([(out * torch.randn(out.shape, generator=generator)).sum() for out in outputs]).sum().backward()
    for name, parameter in canonical.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).all()), name


def test_replaced_rows_are_bound_anew() -> None:
    canonical = shaken(hybrid())
    before, binding = canonical(), canonical.binding
    rows = torch.tensor([4, 4, 99, 0])
    canonical.replace_rows({name: getattr(canonical, name)[rows] for name in PER_GAUSSIAN})
    after = canonical()
    assert canonical.num_gaussians == 4
    assert canonical.binding is not binding, "what was computed for the old roots must not be used again"
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name)[rows])
    assert after.binding is not None
    assert torch.equal(after.binding.normals, binding.normals[rows])
    assert torch.equal(after.binding.triangles, binding.triangles[rows])
    after.means.sum().backward()
    assert canonical.offsets.grad is not None
    assert canonical.offsets.grad.shape == (4, 3)
    assert not canonical.triangles.requires_grad


@torch.no_grad()
def test_a_walk_takes_roots_to_their_gaussians_and_changes_no_picture() -> None:
    canonical = shaken(hybrid(sh_degree=1))
    before, binding, triangles = canonical(), canonical.binding, canonical.triangles.clone()
    canonical.walk()
    after = canonical()
    assert canonical.binding is not binding
    assert float((canonical.triangles != triangles).float().mean()) > 0.1, "some have left their triangle"
    torch.testing.assert_close(after.means, before.means, atol=1e-6, rtol=0)
    torch.testing.assert_close(rotations(after), rotations(before), atol=2e-6, rtol=0)
    torch.testing.assert_close(after.quats.norm(dim=1), before.quats.norm(dim=1))
    for name in ("scales", "opacities", "sh"):
        assert torch.equal(getattr(after, name), getattr(before, name)), name


@torch.no_grad()
def test_discs_stay_flat_and_as_thick_as_they_started() -> None:
    canonical = shaken(Hybrid(box(), HybridConfig(num_gaussians=50, shape="disc", relative_thickness=0.1)))
    for _ in range(2):
        gaussians = canonical()
        torch.testing.assert_close(rotations(gaussians)[..., 2], canonical.binding.normals, atol=1e-6, rtol=0)
        scales = gaussians.scales
        torch.testing.assert_close(scales[:, 2], 0.1 * (scales[:, 0] * scales[:, 1]).sqrt())
        torch.testing.assert_close(scales[:, :2].log(), canonical.log_scales[:, :2])
        means = gaussians.means
        canonical.walk()
        torch.testing.assert_close(canonical().means, means, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_disc_spins_about_its_normal() -> None:
    canonical = Hybrid(box(), HybridConfig(num_gaussians=50, shape="disc"))
    canonical.quats.copy_(torch.tensor([2 * math.cos(0.4), 5.0, -3.0, 2 * math.sin(0.4)]))
    frames = triangle_frames(box().vertices, box().faces)[canonical.triangles]
    spin = matrices_from_axis_angles(torch.tensor([0.0, 0.0, 0.8]))
    torch.testing.assert_close(rotations(canonical()), frames @ spin, atol=1e-6, rtol=0)
    torch.testing.assert_close(canonical.surface_axes()[0], spin.expand(50, 3, 3), atol=1e-6, rtol=0)


@torch.no_grad()
def test_on_a_flat_side_only_the_height_is_left() -> None:
    """Steps too short to leave a side of the box end exactly under the Gaussian."""
    canonical = hybrid(400)
    corners = (EXTENTS_M / 2 - canonical.roots.abs()).sort(1).values  # the first is zero: they are on a side
    inside = corners[:, 1] > 0.03
    canonical.offsets.copy_(torch.tensor([0.02, -0.02, 0.05]))
    triangles = canonical.triangles.clone()
    canonical.walk()
    expected = torch.tensor([0.0, 0.0, 0.05]).expand(400, 3)
    torch.testing.assert_close(canonical.offsets[inside], expected[inside], atol=1e-6, rtol=0)
    assert bool((canonical.triangles != triangles)[inside].any()), "over the diagonal"
    still = canonical.triangles.clone(), canonical.barycentrics.clone()
    canonical.offsets[:, :2] = 0
    canonical.walk()
    assert torch.equal(canonical.triangles, still[0])
    torch.testing.assert_close(canonical.barycentrics, still[1])


@torch.no_grad()
def test_roots_come_nearer_or_stay_until_they_rest() -> None:
    """Above an edge at a right angle there is no place under a Gaussian, and yet its root does not go to and fro."""
    canonical = shaken(hybrid(400))
    is_same = torch.zeros(400, dtype=torch.bool)
    for _ in range(25):
        before, roots = canonical.offsets[:, :2].norm(dim=1).clone(), canonical.roots.clone()
        canonical.walk()
        after, is_same = canonical.offsets[:, :2].norm(dim=1), (canonical.roots - roots).norm(dim=1) < 1e-5
        assert bool((is_same | (after < 0.51 * before + 1e-6)).all())
    assert bool(is_same.all())
    assert float((canonical.offsets[:, :2].norm(dim=1) > 0.02).float().mean()) > 0.01, "some have nowhere to go"


@torch.no_grad()
def test_displaced_ones_walk_as_well() -> None:
    """Under a displacement that differs from place to place, what the new place adds comes off the offset."""
    canonical = shaken(hybrid())
    before, displacement = canonical().means, canonical.displacement.clone()
    canonical.walk()
    torch.testing.assert_close(canonical().means, before, atol=1e-6, rtol=0)
    assert torch.equal(canonical.displacement, displacement)


def test_gradients_turn_with_the_walk() -> None:
    """What the walk gives back takes the gradient of offsets and quaternions into the new frames."""
    canonical = shaken(hybrid())
    weights = torch.randn(100, 7, generator=torch.Generator().manual_seed(3))

    def gradients() -> tuple[Tensor, Tensor]:
        gaussians = canonical()
        loss = (torch.cat([gaussians.means, gaussians.quats], 1) * weights).sum()
        offsets, quats = torch.autograd.grad(loss, [canonical.offsets, canonical.quats])
        return offsets, quats

    offsets, quats = gradients()
    signs = canonical().quats.detach()
    turns = canonical.walk()
    flips = (canonical().quats * signs).sum(1, keepdim=True).sign()
    weights[:, 3:] *= flips.detach()
    turned_offsets, turned_quats = gradients()
    torch.testing.assert_close(turned_offsets, rotate_points(turns, offsets), atol=2e-5, rtol=0)
    torch.testing.assert_close(turned_quats, multiply_quats(turns, quats), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("quats", torch.ones(3, 3)),
        ("offsets", torch.ones(2, 3)),
        ("colors", torch.ones(3, 3, dtype=torch.float64)),
        ("triangles", torch.tensor([0, 5, 12])),
    ],
)
def test_rows_that_do_not_fit_are_refused(name: str, rows: Tensor) -> None:
    canonical = hybrid()
    new = {name: getattr(canonical, name)[:3] for name in PER_GAUSSIAN}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        canonical.replace_rows(new | {name: rows})
    assert canonical.num_gaussians == 100, "nothing has changed"


def test_the_seed_decides() -> None:
    assert torch.equal(hybrid(50, seed=5)().means, hybrid(50, seed=5)().means)
    assert not torch.equal(hybrid(50, seed=5)().means, hybrid(50, seed=6)().means)


def test_the_state_is_parameters_and_roots() -> None:
    assert set(hybrid().state_dict()) == {"displacement", "shell", *PER_GAUSSIAN}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_gaussians", 0),
        ("sh_degree", -1),
        ("sh_degree", 4),
        ("relative_size", 0.0),
        ("relative_size", math.nan),
        ("relative_thickness", -1.0),
        ("smallest_m", 0.0),
    ],
)
def test_configs_are_checked(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"HybridConfig\.{field}: expected .*, got {value}"):
        HybridConfig(**{field: value})


def test_discs_are_not_too_thin() -> None:
    with pytest.raises(ValueError, match=r"relative_thickness: expected 0.001 or more, got 0.0001"):
        HybridConfig(shape="disc", relative_thickness=1e-4)
