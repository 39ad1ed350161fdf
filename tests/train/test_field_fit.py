"""Fits of radiance fields: to the same bits when taken up, from bad pictures too, and from a prior."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.canonical import FieldConfig
from avatar.checkpoint import load_field
from avatar.engine import HashGrid, MeshTree, closest_points
from avatar.model import FieldAvatarConfig
from avatar.render import render, surface_of
from avatar.structs import Capture, Frame, Split
from avatar.train import FieldFit, FieldFitConfig, FieldRates, FieldStepConfig, Limits, TightenConfig
from avatar.train.field_fit import new_field_avatar
from avatar.train.proxies import Proxies, ProxyConfig, seen_vertices
from avatar.train.template_start import TemplateStartConfig

SMALL = FieldFitConfig(
    avatar=FieldAvatarConfig(
        canonical=FieldConfig(
            grid=HashGrid(num_levels=6, log2_table_size=13, per_level_scale=1.6), hidden=16, step_m=(0.02, 0.02)
        )
    ),
    look=FieldStepConfig(num_samples=2048, most_rays=512),
    template=TemplateStartConfig(steps=60, points=1024),
    proxies=ProxyConfig(views=2, height_px=48),
    tighten=TightenConfig(at=(0.5,)),
    checkpoint_seconds=1000.0,
)


@pytest.fixture
def start(sample: Capture, corner: Split) -> Callable[..., FieldFit]:
    def start(run: Path, config: FieldFitConfig = SMALL, steps: int = 12, split: Split = corner, **more) -> FieldFit:
        return FieldFit(more.pop("capture", sample), split, run, config, Limits(steps=steps), **more)

    return start


Start = Callable[..., FieldFit]


def state(fit: FieldFit) -> dict[str, Tensor]:
    return {**fit.avatar.state_dict(), **fit.optimizer.tensors()}


def assert_identical(one: FieldFit, other: FieldFit) -> None:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_it_learns_what_the_pictures_show(start: Start, tmp_path: Path) -> None:
    reports = list(start(tmp_path, steps=100))
    first, last = (sum(report.psnr for report in part) / 10 for part in (reports[:10], reports[-10:]))
    assert last > first + 0.7
    assert reports[0].facts["num_samples"] <= 2048


def test_taken_up_it_ends_at_the_same_bits(start: Start, tmp_path: Path) -> None:
    whole = start(tmp_path / "whole")
    list(whole)
    part = start(tmp_path / "part")
    steps = iter(part)
    for _ in range(7):
        next(steps)
    part.save()
    again = start(tmp_path / "part")
    assert again.step == 7
    list(again)
    assert_identical(again, whole)
    loaded = load_field(tmp_path / "part").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in whole.avatar.state_dict().items())


def test_another_recipe_is_refused(start: Start, tmp_path: Path) -> None:
    list(start(tmp_path, steps=1))
    with pytest.raises(ValueError, match="holds a fit with another recipe"):
        start(tmp_path, replace(SMALL, rates=FieldRates(table=1e-3)))


def test_it_begins_as_the_naked_body(sample: Capture, corner: Split) -> None:
    avatar = new_field_avatar(sample, corner, replace(SMALL, template=TemplateStartConfig(steps=150, points=2048)))
    body = avatar.deform.canonical_body
    tree = MeshTree(body.rest.faces, body.vertices_world)
    points = body.vertices_world[::50] + 0.03 * torch.randn(
        len(body.vertices_world[::50]), 3, generator=torch.Generator().manual_seed(0)
    )
    errors = (avatar.canonical().distance(points) - closest_points(points, tree).distances).abs()
    assert float(errors.mean()) < 0.008
    ball = new_field_avatar(sample, corner, replace(SMALL, template=None))
    assert float((ball.canonical().distance(points) - closest_points(points, tree).distances).abs().mean()) > 0.05


def blank(frame: Frame) -> Frame:
    return replace(frame, image=torch.zeros_like(frame.image), is_foreground=torch.zeros_like(frame.is_foreground))


def one_pixel(frame: Frame) -> Frame:
    mask = torch.zeros_like(frame.is_foreground)
    mask[len(mask) // 2, mask.shape[1] // 2] = True
    return replace(frame, is_foreground=mask, image=frame.image * mask[..., None])


def inside(frame: Frame) -> Frame:
    """The camera moves into the chest."""
    chest = frame.pose.root_position_world + torch.tensor([0.0, 0.0, 0.2])
    pose = frame.camera.camera_from_world.clone()
    pose[:3, 3] = -pose[:3, :3] @ chest
    return replace(frame, camera=replace(frame.camera, camera_from_world=pose))


@pytest.mark.parametrize("spoil", [blank, one_pixel, inside])
def test_bad_pictures_do_no_harm(
    spoil: Callable[[Frame], Frame], start: Start, sample: Capture, tmp_path: Path
) -> None:
    spoiled = replace(sample, load_frame=lambda *which: spoil(sample.load_frame(*which)))
    fit = start(tmp_path, steps=4, capture=spoiled)
    reports = list(fit)
    assert all(torch.tensor(report.loss).isfinite() for report in reports)
    assert all(bool(value.isfinite().all()) for value in fit.avatar.state_dict().values())
    frame = sample.load_frame(0, 0, True)
    image = render(fit.avatar.posed(frame.pose), spoil(frame).camera.scaled(0.25))
    assert bool(image.color.isfinite().all())


def test_a_gradient_that_is_no_number_names_its_frame(start: Start, tmp_path: Path) -> None:
    fit = start(tmp_path)
    with torch.no_grad():
        fit.avatar.canonical.table.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"step 0: the gradient is no number in frame \d+; lower the rates"):
        next(iter(fit))


def test_a_prior_of_another_make_is_refused(start: Start, sample: Capture, corner: Split, tmp_path: Path) -> None:
    prior = new_field_avatar(sample, corner, SMALL)
    wide = replace(SMALL, avatar=FieldAvatarConfig(canonical=replace(SMALL.avatar.canonical, hidden=24)))
    with pytest.raises(ValueError, match="expected the config of the prior's avatar"):
        start(tmp_path, wide, prior=prior)
    prior.rig = "smpl"
    with pytest.raises(ValueError, match=r"expected a prior of the skeleton 'cmu_mb'|expected a prior of the skeleton"):
        start(tmp_path, prior=prior)


def test_one_camera_sees_about_half_and_the_prior_holds_the_rest(sample: Capture, corner: Split) -> None:
    prior = new_field_avatar(sample, corner, SMALL)
    one = replace(corner, frame_ids=(0,), camera_ids=(0,))
    seen = float(seen_vertices(prior, sample, one).float().mean())
    assert 0.3 < seen < 0.6
    assert float(seen_vertices(prior, sample, corner).float().mean()) > seen + 0.1
    proxies = Proxies.of(prior, sample, one, ProxyConfig(views=4, height_px=64))
    assert proxies is not None
    assert proxies.share == pytest.approx(1 - seen)
    assert proxies.samples == pytest.approx(0.5 * (1 - seen))
    # The first picture is from the front, the third from behind; camera 0 looks at one of them.
    views = proxies.pixels.near // 64**2
    counts = torch.bincount(views, minlength=4)
    assert int(counts.max()) > 1.3 * int(counts.min())


def test_proxies_keep_what_no_camera_sees(start: Start, sample: Capture, corner: Split, tmp_path: Path) -> None:
    """With pictures of the prior a fit to one camera leaves the prior's back more as it was."""
    prior = new_field_avatar(sample, corner, SMALL)
    one = replace(corner, frame_ids=(0,), camera_ids=(0,))
    proxies = Proxies.of(prior, sample, one, ProxyConfig(views=4, height_px=64))
    assert proxies is not None
    changes = []
    for name, config in (("held", ProxyConfig(views=4, height_px=64)), ("free", None)):
        fit = start(tmp_path / name, replace(SMALL, proxies=config), steps=40, split=one, prior=prior)
        list(fit)
        images = [render(fit.avatar.canonical(), camera).color.flatten(0, 1) for camera in proxies.pixels.cameras]
        wanted = proxies.pixels.colors[proxies.pixels.near] / 255
        changes.append(float((torch.cat(images)[proxies.pixels.near] - wanted).abs().mean()))
    assert changes[0] < 0.85 * changes[1]


def test_its_surface_is_a_closed_mesh(sample: Capture, corner: Split) -> None:
    avatar = new_field_avatar(sample, corner, SMALL)
    mesh = surface_of(avatar.posed(sample.pose(0)), cell_m=0.03)
    assert len(mesh.faces) > 1000
    height = mesh.vertices[:, 2].amax() - mesh.vertices[:, 2].amin()
    assert 1.2 < float(height) < 2.2
