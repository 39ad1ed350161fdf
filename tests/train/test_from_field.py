"""Gaussians take their places and colours from a field that is known: a body that has grown by two centimetres."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.body import load_body, spread_pose
from avatar.canonical import FieldConfig, HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig
from avatar.engine import HashGrid, MeshTree, closest_points
from avatar.geometry import SH_C0, vertex_normals
from avatar.model import FieldAvatar, FieldAvatarConfig, HybridAvatar, HybridAvatarConfig
from avatar.structs import Capture, FieldShape, Pose, RadianceField, RaySamples, Shape, Split
from avatar.train import HybridFit, HybridFitConfig, Limits, hybrid_from_field

RIG, HEIGHT_M = "anny", 0.02
SMALL = FieldConfig(grid=HashGrid(num_levels=2, log2_table_size=10))
BARE = HybridAvatarConfig(
    canonical=HybridConfig(num_gaussians=3000, sh_degree=0),
    deform=DeformConfig(correctives=CorrectivesConfig(num_modes=0)),
)


def spread() -> Pose:
    model = load_body(RIG)
    return spread_pose(model.shaped(model.default_shape()))


def hybrid_of(height: float = 0.5) -> HybridAvatar:
    return HybridAvatar(shape=shape_of(height), poses=one(spread()), frame_ids=(0,), config=BARE, rig=RIG)


def shape_of(height: float) -> Shape:
    default = load_body(RIG).default_shape()
    is_height = torch.tensor([name == "height" for name in default.names])
    return replace(default, values=default.values.where(~is_height, height))


def one(pose: Pose) -> Pose:
    return replace(pose, local_quats=pose.local_quats[None], root_position_world=pose.root_position_world[None])


@pytest.fixture(scope="module")
def field() -> FieldAvatar:
    avatar = FieldAvatar(
        shape=shape_of(0.5), poses=one(spread()), frame_ids=(0,), config=FieldAvatarConfig(canonical=SMALL), rig=RIG
    )
    body, band = avatar.deform.canonical_body, avatar.canonical()
    tree = MeshTree(body.rest.faces, body.vertices_world)

    def distance(points: Tensor) -> Tensor:
        return closest_points(points, tree).distances - HEIGHT_M

    def shape(samples: RaySamples) -> FieldShape:
        nothing = torch.zeros_like(samples.points)
        return FieldShape(
            samples=samples,
            alphas=nothing[:, 0],
            distances=nothing[:, 0],
            gradients=nothing,
            canonical_normals=nothing,
            features=nothing,
        )

    known = RadianceField(
        shape=shape,
        radiance=lambda seen: paint(seen.samples.points),
        distance=distance,
        grid=band.grid,
        step_m=band.step_m,
    )
    avatar.canonical.forward = lambda: known
    return avatar


def paint(points: Tensor) -> Tensor:
    return (3 * points).sigmoid()


@torch.no_grad()
def test_gaussians_sit_on_the_surface_in_its_colours(field: FieldAvatar) -> None:
    """Seen in the field's own pose they are where it is."""
    hybrid, pose = hybrid_of(), spread()
    hybrid_from_field(hybrid, field)
    body = hybrid.body(hybrid.shape, pose)
    posed = hybrid.posed(pose)
    heights = closest_points(posed.means, MeshTree(body.rest.faces, body.vertices_world)).distances
    assert float((heights - HEIGHT_M).abs().median()) < 1e-3
    assert float(((heights - HEIGHT_M).abs() < 5e-3).float().mean()) > 0.95
    errors = (posed.sh[:, 0] * SH_C0 + 0.5 - paint(posed.means)).abs().amax(1)
    assert float((errors < 0.01).float().mean()) > 0.95
    assert torch.equal(hybrid.canonical.shell, hybrid.canonical.displacement)


@torch.no_grad()
def test_another_body_wears_it_as_far_off(field: FieldAvatar) -> None:
    hybrid = hybrid_of(height=0.8)
    hybrid_from_field(hybrid, field)
    rest, shell = hybrid.template, hybrid.canonical.shell
    heights = (shell * vertex_normals(rest.vertices, rest.faces)).sum(1)
    assert float((heights - HEIGHT_M).abs().median()) < 1e-3
    assert float((shell.norm(dim=1) - HEIGHT_M).abs().median()) < 1e-3


def test_a_fit_begins_there_and_is_taken_up(field: FieldAvatar, sample: Capture, corner: Split, tmp_path: Path) -> None:
    recipe = HybridFitConfig(avatar=BARE)
    fit = HybridFit(sample, corner, tmp_path, recipe, Limits(steps=2), source=field)
    assert float(fit.avatar.canonical.displacement.detach().norm(dim=1).median()) == pytest.approx(HEIGHT_M, abs=1e-3)
    next(iter(fit))
    fit.save()
    with pytest.raises(ValueError, match="another source"):
        HybridFit(sample, corner, tmp_path, recipe, Limits(steps=2))
    again = HybridFit(sample, corner, tmp_path, recipe, Limits(steps=2), source=field)
    assert torch.equal(again.avatar.canonical.displacement, fit.avatar.canonical.displacement)


def test_rigs_must_agree(field: FieldAvatar) -> None:
    hybrid = hybrid_of()
    hybrid.rig = "cmu_mb"
    with pytest.raises(ValueError, match="expected a field of the skeleton 'cmu_mb', got 'anny'"):
        hybrid_from_field(hybrid, field)
