"""Gradients of image positions without their signs, for densification."""

import pytest
import torch

from avatar.engine import RasterizeOptions, rasterize, rasterize_reference, set_threads

CASES = {
    "one channel": {"channels": 1},
    "colours and depth": {"options": RasterizeOptions(depth="expected"), "backgrounds": True},
    "two cameras": {"cameras": 2, "sh_degree": 1, "offsets": True},
    "antialiased": {"scale_m": 0.02, "options": RasterizeOptions(antialiased=True)},
    "opaque": {"count": 900, "scale_m": 0.15, "height": 70},
    "none": {"count": 0},
}
ABSGRAD, SIGNED = "gradient of means2d_absgrad_px", "gradient of means2d_offsets_px"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_float64_equals_the_reference(case: dict, make_scene, outcome, needs_engine):
    scene = make_scene(**case, absgrad=True)
    ours, truth = outcome(rasterize, scene), outcome(rasterize_reference, scene)
    assert ABSGRAD in truth
    for name, value in truth.items():
        assert value.numel() == 0 or (ours[name] - value).abs().max() <= 1e-10 * value.abs().max(), name


def test_other_gradients_are_the_same_with_and_without(make_scene, outcome):
    with_it = outcome(rasterize, make_scene(absgrad=True, cameras=2))
    without = outcome(rasterize, make_scene(cameras=2))
    for name, value in without.items():
        torch.testing.assert_close(with_it[name], value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", [rasterize, rasterize_reference])
def test_pixels_that_pull_apart_do_not_cancel(backend, make_scene):
    """A Gaussian centred in the picture: the signed gradient of all pixels' sum is zero, not the absolute."""
    scene = make_scene(count=1, channels=1, height=21, width=21, offsets=True, absgrad=True)
    centred = {
        "means": torch.tensor([[0.0, 0.0, 2.0]]).double(),
        "camera_from_world": torch.eye(4).double()[None],
        "means2d_offsets_px": torch.tensor([[[0.7, -0.4]]]).double(),
        "scales": torch.full((1, 3), 0.1).double(),
    }
    scene = scene.replace(centred)
    offsets, absgrad = scene.views.means2d_offsets_px, scene.views.means2d_absgrad_px
    assert offsets is not None
    assert absgrad is not None
    inputs = (offsets.requires_grad_(), absgrad.requires_grad_())
    signed, absolute = torch.autograd.grad(backend(*scene).colors.sum(), inputs)
    assert float(signed.abs().max()) < 1e-7
    assert float(absolute.min()) > 0.1


def test_where_only_one_pixel_counts_it_is_the_absolute_value(make_scene):
    scene = make_scene(channels=2, offsets=True, absgrad=True)
    offsets, absgrad = scene.views.means2d_offsets_px, scene.views.means2d_absgrad_px
    assert offsets is not None
    assert absgrad is not None
    inputs = (offsets.requires_grad_(), absgrad.requires_grad_())
    signed, absolute = torch.autograd.grad(rasterize(*scene).colors[0, 20, 30, 1], inputs)
    assert float(signed.abs().max()) > 0
    torch.testing.assert_close(absolute, signed.abs(), rtol=1e-12, atol=1e-14)


def test_number_of_threads_changes_nothing(make_scene, outcome):
    scene, results = make_scene(count=3000, absgrad=True, dtype=torch.float32), []
    try:
        for threads in (1, 2, 3):
            set_threads(threads)
            results.append(outcome(rasterize, scene)[ABSGRAD])
    finally:
        set_threads(None)
    assert torch.equal(results[1], results[0])
    assert torch.equal(results[2], results[0])


@pytest.mark.parametrize("backend", [rasterize, rasterize_reference])
def test_too_many_channels_are_refused(backend, make_scene):
    with pytest.raises(ValueError, match="means2d_absgrad_px: expected at most 4 channels, got 5"):
        backend(*make_scene(channels=4, absgrad=True, options=RasterizeOptions(depth="sum")))
