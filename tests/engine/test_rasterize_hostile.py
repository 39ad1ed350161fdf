"""Gaussians that no renderer should trip over: both backends leave them out, and their gradients are zero."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from avatar.engine import RasterizeOptions, Views, rasterize, rasterize_reference

NAN, INF = float("nan"), float("inf")
HOSTILE = {
    "mean not a number": {"means": [NAN, 0, 2]},
    "depth not a number": {"means": [0, 0, NAN]},
    "infinitely far": {"means": [0, 0, INF]},
    "infinitely far aside": {"means": [INF, 0, 2]},
    "far aside": {"means": [1e30, -1e30, 2]},
    "at the optical centre": {"means": [0, 0, 0]},
    "behind": {"means": [0, 0, -1e30]},
    "quaternion of no length": {"quats": [0, 0, 0, 0]},
    "quaternion not a number": {"quats": [NAN, 0, 0, 1]},
    "quaternion without end": {"quats": [INF, 0, 0, 1]},
    "scale not a number": {"scales": [0.1, NAN, 0.1]},
    "scale without end": {"scales": [0.1, 0.1, INF]},
    "linear map not a number": {"linear": [[1, 0, 0], [0, NAN, 0], [0, 0, 1]]},
    "linear map without end": {"linear": [[1, 0, 0], [0, 1, INF], [0, 0, 1]]},
    "opacity not a number": {"opacities": NAN},
    "opacity without end": {"opacities": INF},
    "negative opacity": {"opacities": -INF},
}


@pytest.fixture
def spoilt(make_scene) -> Callable:
    """A scene of 40 Gaussians, and the same with ``changes`` to a 41st in their midst."""

    def make(changes: dict[str, object], dtype: torch.dtype = torch.float64):
        options = RasterizeOptions(depth="sum")
        scene = make_scene(count=40, sh_degree=2, linear=True, backgrounds=True, dtype=dtype, options=options)
        transform = torch.eye(4, dtype=dtype)[None]
        scene = scene.replace({"camera_from_world": transform})
        new = {"means": [0, 0, 2], "quats": [1, 0, 0, 0], "scales": [0.1, 0.1, 0.1], "opacities": 0.9}
        new |= {"linear": torch.eye(3).tolist()} | changes
        tensors = {name: torch.tensor(value, dtype=dtype)[None] for name, value in new.items()}
        tensors["colors"] = torch.ones(1, 9, 3, dtype=dtype)
        joined = {
            name: torch.cat([t[:17], tensors[name], t[17:]])
            for name, t in scene.splats._asdict().items()
            if name in tensors
        }
        return scene, scene.replace(joined)

    return make


def without_the_new(name: str, value: Tensor, axis: int) -> Tensor:
    """The tensor without the 18th Gaussian, which must be zero there."""
    new = value.select(axis, 17)
    assert not new.any(), name
    return torch.cat([value.narrow(axis, 0, 17), value.narrow(axis, 18, 23)], axis)


@pytest.mark.parametrize("backend", [rasterize, rasterize_reference])
@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_gaussians_change_nothing(backend, changes: dict[str, object], spoilt, outcome):
    bare, scene = spoilt(changes)
    before, after = outcome(backend, bare), outcome(backend, scene)
    for name, value in before.items():
        found = after[name]
        if found.shape != value.shape:
            found = without_the_new(name, found, 1 if name == "radii_px" else 0)
        torch.testing.assert_close(found, value, rtol=1e-9, atol=1e-9, msg=name)


def test_a_gaussian_without_size_is_as_wide_as_the_blur(make_scene, outcome):
    """Nothing but the blur remains of it; without the blur it is left out."""
    point = {"scales": torch.zeros(1, 3, dtype=torch.float64), "means": torch.tensor([[0.0, 0.0, 2.0]]).double()}
    for blur_px2 in (0.3, 0.0):
        scene = make_scene(count=1, options=RasterizeOptions(blur_px2=blur_px2)).replace(point)
        ours, truth = outcome(rasterize, scene), outcome(rasterize_reference, scene)
        assert bool(ours["alphas"].any()) is (blur_px2 > 0)
        for name, value in truth.items():
            torch.testing.assert_close(
                ours[name], value, rtol=0, atol=1e-10 * max(1.0, float(value.abs().max())), msg=name
            )


def test_no_cameras_and_no_gaussians_have_gradients_of_zero(make_scene, outcome, needs_engine):
    scene = make_scene(count=30, offsets=True, absgrad=True)
    none = scene.views._replace(
        **{name: t[:0] for name, t in scene.views._asdict().items() if isinstance(t, Tensor)},
    )
    for empty in (scene._replace(views=none), make_scene(count=0, offsets=True, absgrad=True)):
        found = outcome(rasterize, empty)
        assert all(not t.any() for name, t in found.items() if name.startswith("gradient"))


def test_everything_covers_everything(make_scene, outcome):
    """Thousands of Gaussians, in several parts, on every tile of a picture."""
    scene = make_scene(count=1100, scale_m=20.0, height=40, width=50, channels=1)
    scene = scene.replace({"opacities": 0.1 * scene.splats.opacities})
    ours, truth = outcome(rasterize, scene), outcome(rasterize_reference, scene)
    assert float(truth["alphas"].min()) > 0.9
    for name, value in truth.items():
        assert (ours[name] - value).abs().max() <= 1e-10 * value.abs().max(), name


def test_more_entries_than_can_be_numbered_are_refused(make_scene, outcome, monkeypatch, needs_engine):
    scene = make_scene(count=3000, scale_m=30.0)
    before = outcome(rasterize, scene)
    module = sys.modules["avatar.engine.rasterize"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_ENTRIES", 4000)
        with pytest.raises(ValueError, match="at most 4000 pairs of a Gaussian and a tile"):
            rasterize(*scene)
    assert all(torch.equal(value, before[name]) for name, value in outcome(rasterize, scene).items())


def test_images_larger_than_their_gaussians(make_scene):
    """A wide picture of mostly empty tiles."""
    scene = make_scene(count=3, height=40, width=5000, dtype=torch.float32)
    ours, truth = rasterize(*scene), rasterize_reference(*scene)
    torch.testing.assert_close(ours.alphas, truth.alphas, rtol=0, atol=1e-5)
    assert isinstance(scene.views, Views)
