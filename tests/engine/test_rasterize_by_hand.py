"""Numbers worked out by hand, for the compiled rasterizer and its specification alike: both cannot be wrong together.

The camera stands at the origin and looks along +z with a focal length of 10 px. A round Gaussian of 0.2 m at 2 m has a
standard deviation of 1 px on the image, and with the blur of 0.3 px² a variance of 1.3 px².
"""

import math

import pytest
import torch
from torch import Tensor

from avatar.engine import RasterizeOptions, Renders, Splats, Views, rasterize, rasterize_reference

VARIANCE = 1.3
ROUND = (0.2, 0.2, 0.2)
pytestmark = pytest.mark.parametrize("backend", [rasterize, rasterize_reference])


def splats(*gaussians: tuple[tuple[float, float, float], float, Tensor | list[float]], **changes) -> Splats:
    """Round, unturned Gaussians from (centre, opacity, colour)."""
    means, opacities, colors = zip(*gaussians, strict=True)
    n = len(gaussians)
    made = Splats(
        means=torch.tensor(means, dtype=torch.float64),
        quats=torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64).repeat(n, 1),
        scales=torch.tensor([ROUND], dtype=torch.float64).repeat(n, 1),
        opacities=torch.tensor(opacities, dtype=torch.float64),
        colors=torch.tensor(colors, dtype=torch.float64),
    )
    return made._replace(**changes)


def views(centre_px: tuple[float, float] = (4.5, 4.5), **changes) -> Views:
    """The camera, with a 9 x 9 image."""
    x, y = centre_px
    intrinsics = torch.tensor([[[10, 0, x], [0, 10, y], [0, 0, 1]]], dtype=torch.float64)
    made = Views(torch.eye(4, dtype=torch.float64)[None], intrinsics, height=9, width=9)
    return made._replace(**changes)


def draw(backend, gaussians: Splats, camera: Views | None = None, **options) -> Renders:
    return backend(gaussians, camera or views(), RasterizeOptions(**options))


def check(value: Tensor, expected: object) -> None:
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=value.dtype), rtol=1e-12, atol=1e-12)


def test_one_gaussian(backend):
    """Its opacity at its centre, which is the centre of pixel (4, 4); exp(-d²/2 sigma²) of that at distance d."""
    renders = draw(backend, splats(((0, 0, 2), 0.5, [0.2, 0.4, 1.0])))
    check(renders.alphas[0, 4, 4], 0.5)
    check(renders.colors[0, 4, 4], [0.1, 0.2, 0.5])
    check(renders.alphas[0, 4, 5], 0.5 * math.exp(-1 / 2 / VARIANCE))
    check(renders.alphas[0, 2, 3], 0.5 * math.exp(-5 / 2 / VARIANCE))


def test_pixel_centres_are_at_one_half(backend):
    """A centre at a whole number lies between two pixels."""
    alphas = draw(backend, splats(((0, 0, 2), 0.5, [1.0])), views((4.0, 6.5))).alphas[0]
    check(alphas[6, 3], 0.5 * math.exp(-0.25 / 2 / VARIANCE))
    check(alphas[6, 4], alphas[6, 3].item())


def test_image_axes_are_right_and_down(backend):
    """1.2 m to the right at 6 m and 0.4 m up at 2 m are two pixels each, by the focal length over depth."""
    for centre, (row, column) in (((1.2, 0, 6), (4, 6)), ((0, -0.4, 2), (2, 4))):
        alphas = draw(backend, splats((centre, 0.5, [1.0]))).alphas[0]
        assert divmod(int(alphas.argmax()), 9) == (row, column)
        check(alphas[row, column], 0.5)


def test_two_gaussians_composite_front_to_back(backend):
    """0.6 of the near one, 0.5 of the remaining 0.4 of the far one, the last 0.2 of the background; in any order."""
    near, far = ((0, 0, 2), 0.6, [1.0, 0.0]), ((0, 0, 3), 0.5, [0.0, 1.0])
    camera = views(backgrounds=torch.tensor([[0.5, 10.0]], dtype=torch.float64))
    for order in ((near, far), (far, near)):
        renders = draw(backend, splats(*order), camera, depth="sum")
        check(renders.alphas[0, 4, 4], 0.8)
        check(renders.colors[0, 4, 4], [0.6 + 0.1, 0.2 + 2.0, 0.6 * 2 + 0.2 * 3])
        expected = draw(backend, splats(*order), camera, depth="expected")
        check(expected.colors[0, 4, 4, 2], (0.6 * 2 + 0.2 * 3) / 0.8)


def test_of_equal_depths_the_first_is_in_front(backend):
    renders = draw(backend, splats(((0, 0, 2), 0.6, [1.0, 0.0]), ((0, 0, 2), 0.5, [0.0, 1.0])))
    check(renders.colors[0, 4, 4], [0.6, 0.2])


def test_what_is_under_one_in_255_is_not_drawn(backend):
    """0.5 exp(-d²/2.6) falls below 1/255 between 3 and 4 pixels; a Gaussian below it everywhere is culled."""
    row = draw(backend, splats(((0, 0, 2), 0.5, [1.0]))).alphas[0, 4]
    check(row[7], 0.5 * math.exp(-9 / 2 / VARIANCE))
    assert row[8] == 0
    for opacity, is_drawn in ((1 / 255 + 1e-6, True), (1 / 255 - 1e-6, False)):
        renders = draw(backend, splats(((0, 0, 2), opacity, [1.0])))
        assert bool(renders.alphas.any()) is bool(renders.radii_px.any()) is is_drawn


def test_opacity_is_capped_and_the_ray_stops_above_1e_4(backend):
    """After the cap of 0.999 a second Gaussian would leave 1e-3 (1 - a): above 1e-4 it counts, else it is not drawn."""
    for opacity, alpha in ((0.85, 0.99985), (1.0, 0.999)):
        renders = draw(backend, splats(((0, 0, 2), 1.0, [1.0, 0.0]), ((0, 0, 3), opacity, [0.0, 1.0])))
        check(renders.alphas[0, 4, 4], alpha)
        check(renders.colors[0, 4, 4], [0.999, alpha - 0.999])


def test_radii_reach_to_one_in_255_and_at_most_to_3_33_sigma(backend):
    for opacity, sigmas in ((0.1, math.sqrt(2 * math.log(25.5))), (1.0, min(3.33, math.sqrt(2 * math.log(255))))):
        radii = draw(backend, splats(((0, 0, 2), opacity, [1.0]))).radii_px
        assert radii.tolist() == [[[math.ceil(sigmas * math.sqrt(VARIANCE))] * 2]]


def test_axes_turn_with_the_quaternion(backend):
    """A quarter turn about z, ``wxyz`` = (1, 0, 0, 1) of any length, puts the long x axis upright."""
    long = torch.tensor([[0.6, 0.2, 0.2]], dtype=torch.float64)
    for quat, horizontal, vertical in (((1.0, 0, 0, 0), 9.3, 1.3), ((3.0, 0, 0, 3.0), 1.3, 9.3)):
        turned = splats(((0, 0, 2), 0.5, [1.0]), scales=long, quats=torch.tensor([quat], dtype=torch.float64))
        alphas = draw(backend, turned).alphas[0]
        check(alphas[4, 6], 0.5 * math.exp(-4 / 2 / horizontal))
        check(alphas[6, 4], 0.5 * math.exp(-4 / 2 / vertical))


def test_camera_from_world_moves_points_into_the_camera(backend):
    """The world's y axis becomes the camera's z axis, its -z the camera's y; the camera stands 1 m back."""
    transform = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 1], [0, 0, 0, 1]], dtype=torch.float64)
    renders = draw(backend, splats(((0.2, 1.0, 0.4), 0.5, [1.0])), views(camera_from_world=transform[None]))
    assert divmod(int(renders.alphas.argmax()), 9) == (2, 5)
    check(renders.alphas[0, 2, 5], 0.5)


def test_offsets_move_the_image(backend):
    offsets = torch.tensor([[[1.0, -2.0]]], dtype=torch.float64)
    renders = draw(backend, splats(((0, 0, 2), 0.5, [1.0])), views(means2d_offsets_px=offsets))
    check(renders.alphas[0, 2, 5], 0.5)


def test_antialiasing_keeps_the_area(backend):
    """The blur widens 1 px² to 1.3 px² both ways, so that opacity shrinks by sqrt(1 / 1.3²)."""
    check(draw(backend, splats(((0, 0, 2), 0.5, [1.0])), antialiased=True).alphas[0, 4, 4], 0.5 / 1.3)


def test_harmonics(backend):
    """Colour is max(0, 1/2 + basis . sh); degree 1 is (-y, z, -x) of the direction from the camera times 0.4886."""
    constant, linear = 0.28209479177387814, 0.4886025119029199
    sh = torch.zeros(1, 4, 3, dtype=torch.float64)
    sh[0, 0] = torch.tensor([1.0, -3.0, 0.0])
    sh[0, 1:, 2] = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    harmonic = splats(((0.6, -0.8, 2.4), 0.5, [0.0]), colors=sh, sh_degree=1)
    directions = torch.tensor([0.6, -0.8, 2.4], dtype=torch.float64) / 2.6
    blue = 0.5 + linear * float(-0.1 * directions[1] + 0.2 * directions[2] - 0.3 * directions[0])
    camera = views((4.5 - 2.5, 4.5 + 10 / 3))
    check(draw(backend, harmonic, camera).colors[0, 4, 4] / 0.5, [0.5 + constant, 0.0, blue])


def test_slopes_beyond_the_image_are_clamped(backend):
    """Where x/z is 2 the Jacobian uses (9 - 4.5)/10 + 0.15 · 9/10 = 0.585; the centre stays at 24.5 px.

    A round Gaussian of 0.5 m at 1 m then has a horizontal variance of 25 (1 + 0.585²) + 0.3, an upright one of 25.3.
    """
    wide = splats(((2.0, 0, 1), 0.9, [1.0]), scales=torch.full((1, 3), 0.5, dtype=torch.float64))
    variance = 25 * (1 + 0.585**2) + 0.3
    check(draw(backend, wide).alphas[0, 4, 8], 0.9 * math.exp(-(16.0**2) / 2 / variance))


def test_near_and_far_planes(backend):
    pair = splats(((0, 0, 2), 0.5, [1.0]), ((0, 0, 4), 0.5, [1.0]))
    for near, far, drawn in ((1.0, 9.0, [0, 1]), (2.1, 9.0, [1]), (1.0, 3.9, [0]), (2.0, 4.0, [0, 1])):
        radii = draw(backend, pair, near=near, far=far).radii_px
        assert radii[0, :, 0].nonzero()[:, 0].tolist() == drawn
