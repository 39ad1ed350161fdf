"""The engine in a program: pending backward passes, threads, forked processes, wrong inputs, a missing library."""

import logging
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from avatar.engine import (
    Influences,
    RasterizeOptions,
    Skinnable,
    compiled_variant,
    library,
    rasterize,
    rasterize_mesh,
    rasterize_reference,
    set_threads,
    skin,
    ssim,
)


def loss_of(scene, means: torch.Tensor) -> torch.Tensor:
    return rasterize(scene.splats._replace(means=means), scene.views).colors.square().sum()


def test_more_pending_renders_than_states_kept(make_scene, needs_engine):
    """Twelve forward passes wait for their backward passes; those whose state was reused run again, unnoticed."""
    scenes = [make_scene(count=40 + i, dtype=torch.float32) for i in range(12)]
    means = [scene.splats.means.clone().requires_grad_() for scene in scenes]
    alone = [torch.autograd.grad(loss_of(scene, m), m)[0] for scene, m in zip(scenes, means, strict=True)]
    losses = [loss_of(scene, m) for scene, m in zip(scenes, means, strict=True)]
    for loss, m, expected in zip(losses, means, alone, strict=True):
        assert torch.equal(torch.autograd.grad(loss, m)[0], expected)


def test_backward_twice(make_scene, needs_engine):
    scene = make_scene()
    means = scene.splats.means.requires_grad_()
    loss = loss_of(scene, means)
    first, second = (torch.autograd.grad(loss, means, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_many_threads_render_at_once(make_scene, needs_engine, outcome):
    """Sixteen threads, more than the states kept, forward and backward, each with a scene of its own."""
    scenes = [make_scene(count=100 + 40 * i, dtype=torch.float32) for i in range(16)]
    alone = [outcome(rasterize, scene) for scene in scenes]
    set_threads(2)
    try:
        with ThreadPoolExecutor(16) as threads:
            for _ in range(3):
                together = list(threads.map(lambda scene: outcome(rasterize, scene), scenes))
                for one, other in zip(alone, together, strict=True):
                    assert all(torch.equal(other[name], value) for name, value in one.items())
    finally:
        set_threads(None)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_process_renders(make_scene, needs_engine, outcome):
    """The pool's threads stay with the parent; the child, a data loader's worker say, makes its own."""
    scene = make_scene(count=9000, dtype=torch.float32)
    set_threads(2)
    try:
        expected = outcome(rasterize, scene)

        def child() -> None:
            torch.set_num_threads(1)
            found = outcome(rasterize, scene)
            raise SystemExit(0 if all(torch.equal(found[name], value) for name, value in expected.items()) else 1)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(30)
        if process.is_alive():
            process.kill()
        assert process.exitcode == 0
    finally:
        set_threads(None)


@pytest.mark.parametrize("backend", [rasterize, rasterize_reference])
@pytest.mark.parametrize(
    ("where", "change", "message"),
    [
        ("splats", {"means": torch.zeros(4, 2)}, r"means: expected shape \(4, 3\), got \(4, 2\)"),
        ("splats", {"quats": torch.zeros(4, 3)}, r"quats: expected shape \(4, 4\), got \(4, 3\)"),
        ("splats", {"scales": torch.zeros(5, 3)}, r"scales: expected shape \(4, 3\), got \(5, 3\)"),
        ("splats", {"opacities": torch.zeros(4, 1)}, r"opacities: expected shape \(4,\), got \(4, 1\)"),
        ("splats", {"colors": torch.zeros(3)}, r"colors: expected shape \(4, 3\), got \(3,\)"),
        ("splats", {"colors": torch.zeros(1, 4, 3)}, r"colors: expected shape \(2, 4, 3\), got \(1, 4, 3\)"),
        ("splats", {"colors": torch.zeros(4, 0)}, "at least one channel, or depth"),
        ("splats", {"sh_degree": 1}, r"colors: expected shape \(4, 4, 3\), got \(4, 3\)"),
        ("splats", {"colors": torch.zeros(4, 25, 3), "sh_degree": 4}, "sh_degree: expected 0 to 3 or None, got 4"),
        ("splats", {"opacities": torch.zeros(4).double()}, "opacities: expected torch.float32 .* got torch.float64"),
        ("views", {"camera_from_world": torch.zeros(2, 3, 4)}, r"camera_from_world: expected shape \(2, 4, 4\)"),
        ("views", {"intrinsics_px": torch.zeros(1, 3, 3)}, r"intrinsics_px: expected shape \(2, 3, 3\)"),
        ("views", {"backgrounds": torch.zeros(3)}, r"backgrounds: expected shape \(2, 3\), got \(3,\)"),
        ("views", {"means2d_offsets_px": torch.zeros(4, 2)}, r"means2d_offsets_px: expected shape \(2, 4, 2\)"),
        ("views", {"means2d_absgrad_px": torch.zeros(4, 2)}, r"means2d_absgrad_px: expected shape \(2, 4, 2\)"),
        ("views", {"height": 0}, "positive image size, got 0 x 53"),
    ],
)
def test_wrong_inputs_are_named(backend, where: str, change: dict, message: str, make_scene):
    scene = make_scene(count=4, cameras=2, dtype=torch.float32)
    scene = scene._replace(**{where: getattr(scene, where)._replace(**change)})
    with pytest.raises(ValueError, match=message):
        backend(*scene)


def test_half_precision_and_other_devices_are_refused(make_scene):
    with pytest.raises(ValueError, match="means: expected float32 or float64, got"):
        rasterize(*make_scene(dtype=torch.float16))
    scene = make_scene(dtype=torch.float32)
    elsewhere = scene.replace({name: t.to("meta") for name, t in scene.inputs().items()})
    elsewhere = elsewhere.replace({"intrinsics_px": scene.views.intrinsics_px.to("meta")})
    with pytest.raises(ValueError, match="expected CPU tensors, got meta; use rasterize_reference"):
        rasterize(*elsewhere)


def test_without_the_library_the_references_stand_in(make_scene, outcome, monkeypatch, caplog, tmp_path):
    """One log line says so, however many calls follow."""
    monkeypatch.setattr(library, "import_module", lambda name: SimpleNamespace(__path__=[str(tmp_path)]))
    library.load_library.cache_clear()
    scene = make_scene(count=30, options=RasterizeOptions(depth="sum"))
    image = torch.rand(3, 20, 20)
    try:
        with caplog.at_level(logging.WARNING, logger="avatar"):
            found = outcome(rasterize, scene)
            similarity = ssim(image, image)
            raster = rasterize_mesh(torch.eye(3)[:, :2] * 9, torch.ones(3), torch.tensor([[0, 1, 2]]), 4, 4)
            rest = Skinnable(torch.ones(2, 3), torch.ones(2, 4), torch.ones(2, 3))
            still = torch.tensor([[1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]])
            posed = skin(rest, Influences(torch.zeros(2, 1).int(), torch.ones(2, 1)), still)
            assert compiled_variant() is None
    finally:
        library.load_library.cache_clear()
    truth = outcome(rasterize_reference, scene)
    assert all(torch.equal(found[name], value) for name, value in truth.items())
    assert float(similarity) == pytest.approx(1)
    assert bool((raster.triangles == 0).any())
    assert torch.equal(posed.points, rest.points)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["compiled engine not found"]
