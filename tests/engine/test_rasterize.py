"""The compiled rasterizer against its specification: images and every gradient, float64 and float32."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import avatar
from avatar.engine import compiled_variant, rasterize, rasterize_reference

pytestmark = pytest.mark.usefixtures("needs_engine")


def test_float64_equals_the_reference(case: dict, make_scene, outcome):
    scene = make_scene(**case)
    ours, truth = outcome(rasterize, scene), outcome(rasterize_reference, scene)
    for name, value in truth.items():
        error = (ours[name] - value).abs()
        assert value.isfinite().all(), name
        assert error.numel() == 0 or error.max() <= 1e-10 * value.abs().max(), name


def test_the_cases_show_something(make_scene):
    """Most pixels are covered, some Gaussians are culled: the comparison above is not of empty images."""
    scene = make_scene(cameras=3)
    renders = rasterize_reference(*scene)
    assert (renders.alphas > 0.1).double().mean() > 0.5
    assert 0.05 < (renders.radii_px == 0).double().mean() < 0.5


def test_float32_is_within_1e_4_but_for_a_few_flipped_pixels(shell, outcome, flips):
    """At most 0.02 % of the pixels are flipped; a loss over the others has gradients within 1e-4 of the largest.

    Smaller flips remain among those pixels, so as many of the gradients may be off too.
    """
    scene = shell()
    is_flipped = flips(rasterize(*scene.to(torch.float32)), rasterize(*scene))
    assert is_flipped.double().mean() <= 2e-4
    truth = outcome(rasterize, scene, ~is_flipped)
    assert (truth["alphas"] > 0.9).double().mean() > 0.2
    for name, value in outcome(rasterize, scene.to(torch.float32), ~is_flipped).items():
        if name.startswith("gradient"):
            error = (value - truth[name]).abs() / truth[name].abs().max()
            assert (error > 1e-4).double().mean() <= 2e-4, name
            assert error.max() <= 1e-2, name


def render_files(source: str, target: str) -> str:
    """Render the scene in one file, write images and gradients to another; also the source of a script."""
    from safetensors.torch import load_file, save_file

    from avatar.engine import RasterizeOptions, Splats, Views, compiled_variant, rasterize

    tensors, results = load_file(source), {}
    for name in ("float32", "float64"):
        splats = [tensors[f].to(getattr(torch, name)).requires_grad_() for f in Splats._fields[:5]]
        cameras = [tensors[f].to(splats[0]) for f in Views._fields[:2]]
        views = Views(cameras[0], cameras[1], *tensors["size"].tolist())
        renders = rasterize(Splats(*splats, sh_degree=1), views, RasterizeOptions(depth="sum"))
        (renders.colors.sum() + renders.alphas.square().sum()).backward()
        results |= {f"{name} colors": renders.colors.detach(), f"{name} alphas": renders.alphas.detach()}
        results |= {f"{name} gradient {i}": t.grad for i, t in enumerate(splats)}
    save_file(results, target)
    return compiled_variant() or ""


@pytest.mark.skipif(compiled_variant() in (None, "native", "x86-64-v2"), reason="this machine has one variant only")
def test_variants_for_slower_processors_agree(shell, tmp_path: Path):
    """float64 to 1e-10 of the largest value; float32 like above, its gradients in the mean for there are flips."""
    scene = shell(2000, 128)
    tensors = {name: t.contiguous() for name, t in scene.inputs().items() if name != "backgrounds"}
    size = torch.tensor([scene.views.height, scene.views.width])
    save_file(tensors | {"intrinsics_px": scene.views.intrinsics_px, "size": size}, tmp_path / "scene")
    render_files(str(tmp_path / "scene"), str(tmp_path / "best"))
    best = load_file(tmp_path / "best")
    script = "import sys, torch\n" + inspect.getsource(render_files) + "print(render_files(*sys.argv[1:]))"
    for variant in ("v2", "v3"):
        environment = os.environ | {"AVATAR_ISA": variant, "PYTHONPATH": str(Path(avatar.__file__).parents[1])}
        words = [sys.executable, "-c", script, str(tmp_path / "scene"), str(tmp_path / variant)]
        finished = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60)
        assert finished.stdout.strip() == f"x86-64-{variant}"
        for name, value in load_file(tmp_path / variant).items():
            error = (value - best[name]).abs() / best[name].abs().max()
            assert error.mean() <= 1e-5, name
            if name.startswith("float64"):
                assert error.max() <= 1e-10, name
            elif "gradient" not in name:
                assert (error > 1e-4).double().mean() <= 2e-4, name
