"""gsplat against the specification: our adapter with stand-in kernels everywhere, the real ones where CUDA is."""

import pytest
import torch

from avatar.engine import RasterizeOptions, rasterize_reference
from avatar.engine.cuda import gsplat


@pytest.fixture
def scene(case: dict, make_scene):
    """A scene whose offsets are zero: those are the ones that mean the same everywhere."""
    scene = make_scene(**case)
    offsets = scene.views.means2d_offsets_px
    return scene if offsets is None else scene.replace({"means2d_offsets_px": torch.zeros_like(offsets)})


@pytest.fixture
def assert_adapted(gsplat_on_cpu, outcome):
    """Images and gradients of float64 to 1e-5: gsplat rounds coverage to float32, and expected depth divides by it."""

    def check(scene) -> None:
        ours, truth = outcome(gsplat.rasterize, scene), outcome(rasterize_reference, scene)
        for name, value in truth.items():
            error = (ours[name] - value).abs()
            assert ours[name].isfinite().all(), name
            assert error.numel() == 0 or error.max() <= 1e-5 * value.abs().max(), name

    return check


def test_the_adapter_means_what_the_reference_says(scene, assert_adapted):
    assert_adapted(scene)


def test_more_channels_than_a_kernel_takes(make_scene, assert_adapted):
    assert_adapted(make_scene(channels=70, count=30, backgrounds=True, options=RasterizeOptions(depth="sum")))


@pytest.mark.parametrize("fields", [{"channels": 2}, {"cameras": 2, "sh_degree": 1, "backgrounds": True}])
def test_gradients_without_signs(fields: dict, make_scene, assert_adapted, outcome):
    scene = make_scene(**fields, absgrad=True, options=RasterizeOptions(depth="sum"))
    assert_adapted(scene)
    assert outcome(rasterize_reference, scene)["gradient of means2d_absgrad_px"].abs().max() > 0


def test_offsets_within_the_image_move_the_gaussians(make_scene, assert_adapted):
    scene = make_scene(count=20, offsets=True, scale_m=0.02)
    scene = scene.replace({"means": scene.splats.means * torch.tensor([0.3, 0.3, 1.0])})
    assert_adapted(scene)
    assert scene.views.means2d_offsets_px.abs().max() > 0.9


def test_a_wrong_gradient_is_noticed(make_scene, assert_adapted, monkeypatch: pytest.MonkeyPatch):
    scene = make_scene()
    right = gsplat._project
    monkeypatch.setattr(gsplat, "_project", lambda *words: right(*words)._replace(depths=right(*words).depths.detach()))
    assert_adapted(scene)
    with pytest.raises(AssertionError, match="gradient of means"):
        assert_adapted(scene._replace(options=RasterizeOptions(depth="sum")))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities"])
def test_what_is_no_number_is_not_drawn(name: str, value: float, make_scene, gsplat_on_cpu):
    scene = make_scene(count=10)
    broken = {name: getattr(scene.splats, name).clone().index_fill_(0, torch.tensor([3]), value)}
    kept = scene.splats._replace(opacities=scene.splats.opacities.index_fill(0, torch.tensor([3]), 0))
    ours = gsplat.rasterize(*scene.replace(broken))
    truth = rasterize_reference(kept, scene.views, scene.options)
    torch.testing.assert_close(ours.colors, truth.colors)
    assert (ours.radii_px[:, 3] == 0).all()


def test_tensors_elsewhere_are_refused(make_scene):
    with pytest.raises(ValueError, match=r"expected float32 on a CUDA device, got torch.float64 on cpu"):
        gsplat.rasterize(*make_scene())
    with pytest.raises(ValueError, match="quats: expected shape"):
        gsplat.rasterize(*make_scene().replace({"quats": torch.zeros(3, 4)}))


def assert_kernels_agree(scene, outcome, flips) -> None:
    """float32 on CUDA against float64: flipped pixels apart, images to 1e-4 and gradients to 1e-3 of the largest.

    As on the CPU, thresholds flip where rounding differs, here also by gsplat's fast exponential; at most 0.5 % of the
    pixels (or two) may, and 1 % of the gradients (or two) may be off by the smaller flips that remain.
    """
    truth = rasterize_reference(*scene)
    ours = gsplat.rasterize(*scene.to(torch.float32, "cuda"))
    is_flipped = flips(ours._replace(colors=ours.colors.cpu(), alphas=ours.alphas.cpu()), truth)
    assert is_flipped.sum() <= max(2, 0.005 * is_flipped.numel())
    if scene.splats.scales.numel() and scene.splats.scales.max() > 1e4:  # sizes whose squares float32 cannot tell apart
        return
    results = outcome(gsplat.rasterize, scene.to(torch.float32, "cuda"), ~is_flipped.cuda())
    for name, value in outcome(rasterize_reference, scene, ~is_flipped).items():
        if name.startswith("gradient") and value.numel():
            error = (results[name].cpu() - value).abs() / value.abs().max().clamp(min=1e-30)
            assert (error > 1e-3).sum() <= max(2, 0.01 * error.numel()), name


@pytest.mark.cuda
def test_the_kernels_agree_with_the_reference(scene, outcome, flips):
    assert_kernels_agree(scene, outcome, flips)


@pytest.mark.cuda
def test_the_kernels_agree_on_a_closed_surface(shell, outcome, flips):
    assert_kernels_agree(shell(5000, 128), outcome, flips)


@pytest.mark.cuda
def test_nothing_that_is_no_number_reaches_the_gradients(make_scene, outcome):
    """Most of a crowd is culled: the memory that the kernels leave unwritten must not be read."""
    torch.full((1 << 24,), torch.nan, device="cuda")  # what the next allocations find
    scene = make_scene(count=5000, cameras=2, sh_degree=2, offsets=True, options=RasterizeOptions(depth="sum"))
    scene = scene.replace({"means2d_offsets_px": torch.zeros_like(scene.views.means2d_offsets_px)})
    for name, value in outcome(gsplat.rasterize, scene.to(torch.float32, "cuda")).items():
        assert value.isfinite().all(), name
