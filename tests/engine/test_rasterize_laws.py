"""Laws of rendering, and results that do not depend on the number of threads or cameras in a call."""

import pytest
import torch

from avatar.engine import RasterizeOptions, rasterize, set_threads
from avatar.geometry import matrices_from_quats, multiply_quats, quats_from_matrices

CROWD = {"count": 6000, "height": 100, "width": 135, "scale_m": 0.05, "dtype": torch.float32}


def test_weights_and_transmittance_sum_to_one(make_scene):
    scene = make_scene(channels=1, count=400)
    ones = scene.splats._replace(colors=torch.ones_like(scene.splats.colors))
    renders = rasterize(ones, scene.views)
    assert float(renders.alphas.max()) > 0.99
    torch.testing.assert_close(renders.colors[..., 0], renders.alphas, rtol=0, atol=1e-14)


def test_backgrounds_fill_what_is_left(make_scene):
    scene = make_scene(cameras=2, backgrounds=True)
    behind = rasterize(*scene)
    bare = rasterize(scene.splats, scene.views._replace(backgrounds=None))
    left = (1 - bare.alphas)[..., None] * scene.views.backgrounds[:, None, None]
    torch.testing.assert_close(behind.colors, bare.colors + left, rtol=0, atol=1e-14)


def test_the_order_of_gaussians_means_nothing(make_scene, outcome):
    scene = make_scene(count=400, sh_degree=1, dtype=torch.float64)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    per_gaussian = {name: t[order] for name, t in scene.inputs().items() if name in scene.splats._fields}
    before, after = outcome(rasterize, scene), outcome(rasterize, scene.replace(per_gaussian))
    for name, value in before.items():
        is_per_gaussian = name.startswith("gradient") and name.removeprefix("gradient of ") in per_gaussian
        expected = value[order] if is_per_gaussian else value[:, order] if name == "radii_px" else value
        torch.testing.assert_close(after[name], expected, rtol=0, atol=1e-12 * float(value.abs().max()))


def test_moving_scene_and_camera_together_changes_nothing(make_scene):
    scene = make_scene(count=200, cameras=2, options=RasterizeOptions(depth="sum", antialiased=True))
    turn = torch.linalg.matrix_exp(torch.tensor([[0, -0.7, 0.4], [0.7, 0, -1.1], [-0.4, 1.1, 0]], dtype=torch.float64))
    moved = torch.eye(4, dtype=torch.float64)
    moved[:3, :3], moved[:3, 3] = turn, torch.tensor([3.0, -1.0, 2.0])
    splats = scene.splats._replace(
        means=scene.splats.means @ turn.T + moved[:3, 3],
        quats=multiply_quats(quats_from_matrices(turn).expand_as(scene.splats.quats), scene.splats.quats),
    )
    views = scene.views._replace(camera_from_world=scene.views.camera_from_world @ torch.linalg.inv(moved))
    here, there = rasterize(*scene), rasterize(splats, views, scene.options)
    torch.testing.assert_close(there.colors, here.colors, rtol=0, atol=1e-11)
    torch.testing.assert_close(there.alphas, here.alphas, rtol=0, atol=1e-11)


def test_length_and_sign_of_quaternions_mean_nothing(make_scene):
    scene = make_scene()
    stretched = scene.splats._replace(quats=-7 * scene.splats.quats)
    torch.testing.assert_close(rasterize(stretched, scene.views).colors, rasterize(*scene).colors, rtol=0, atol=1e-12)


def test_linear_maps_are_rotations_scales_and_deformations(make_scene):
    """A rotation turns, a stretch along the axes scales, and a deformation of everything is one of the camera."""
    scene = make_scene(linear=True)
    bare, generator = scene.splats._replace(linear=None), torch.Generator().manual_seed(3)
    turns = torch.nn.functional.normalize(torch.randn(120, 4, generator=generator, dtype=torch.float64), dim=1)
    own = matrices_from_quats(torch.nn.functional.normalize(bare.quats, dim=1))
    stretch = torch.rand(120, 3, generator=generator, dtype=torch.float64) + 0.5
    for linear, expected in (
        (matrices_from_quats(turns), bare._replace(quats=multiply_quats(turns, bare.quats))),
        (own * stretch[:, None] @ own.mT, bare._replace(scales=stretch * bare.scales)),
    ):
        found, truth = rasterize(bare._replace(linear=linear), scene.views), rasterize(expected, scene.views)
        torch.testing.assert_close(found.colors, truth.colors, rtol=0, atol=1e-12)
    shear = torch.eye(3, dtype=torch.float64) + 0.3 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
    assert scene.splats.linear is not None
    moved = scene.splats._replace(means=bare.means @ shear.mT, linear=shear @ scene.splats.linear)
    cameras = scene.views.camera_from_world.clone()
    cameras[:, :3, :3] = cameras[:, :3, :3] @ torch.linalg.inv(shear)
    here, there = rasterize(*scene), rasterize(moved, scene.views._replace(camera_from_world=cameras))
    torch.testing.assert_close(there.colors, here.colors, rtol=0, atol=1e-11)


def test_cameras_at_once_or_one_by_one(make_scene):
    """Seventy cameras in one call are bit for bit seventy calls."""
    scene = make_scene(count=50, cameras=70, per_camera=True, height=9, width=12)
    together = rasterize(*scene)
    for camera in range(70):
        view = scene.views._replace(
            camera_from_world=scene.views.camera_from_world[camera, None],
            intrinsics_px=scene.views.intrinsics_px[camera, None],
        )
        alone = rasterize(scene.splats._replace(colors=scene.splats.colors[camera]), view)
        assert torch.equal(alone.colors[0], together.colors[camera])
        assert torch.equal(alone.radii_px[0], together.radii_px[camera])


@pytest.mark.parametrize("fields", [{"channels": 5}, {"sh_degree": 2, "cameras": 2, "linear": True}])
def test_number_of_threads_changes_nothing(fields: dict, make_scene, outcome, restore_threads):
    scene, results = make_scene(**CROWD, **fields), []
    for threads in (1, 2, 3, 2, 1, 5, 2, 2):
        torch.set_num_threads(threads)
        results.append(outcome(rasterize, scene))
    for result in results[1:]:
        assert all(torch.equal(result[name], value) for name, value in results[0].items())


def test_the_engine_may_have_its_own_number_of_threads(make_scene, outcome, restore_threads):
    torch.set_num_threads(1)
    scene = make_scene(**CROWD)
    alone = outcome(rasterize, scene)
    set_threads(2)
    try:
        both = outcome(rasterize, scene)
    finally:
        set_threads(None)
    assert all(torch.equal(both[name], value) for name, value in alone.items())
    with pytest.raises(ValueError, match="expected at least 1 or None, got 0"):
        set_threads(0)
