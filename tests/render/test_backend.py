"""Which backend draws is said, never guessed."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.render import RenderConfig, load_backend, render
from avatar.structs import Camera, Gaussians, map_tensors


def scene_and_camera() -> tuple[Gaussians, Camera]:
    one = Gaussians(
        means=torch.tensor([[0.0, 0.0, 2.0]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        scales=torch.full((1, 3), 0.2),
        opacities=torch.tensor([0.9]),
        sh=torch.ones(1, 1, 3),
    )
    intrinsics = torch.tensor([[20.0, 0, 10], [0, 20, 8], [0, 0, 1]])
    return one, Camera(camera_from_world=torch.eye(4), intrinsics_px=intrinsics, height=16, width=20)


def test_cpu_and_torch_draw_the_same():
    ours, truth = (render(*scene_and_camera(), RenderConfig(backend=name)) for name in ("cpu", "torch"))
    torch.testing.assert_close(ours.color, truth.color)
    assert truth.alpha.max() > 0.8


def test_what_a_deformation_did_is_drawn():
    """Twice as wide along x, and as a Gaussian of twice the scale there."""
    scene, camera = scene_and_camera()
    scale = torch.tensor([2.0, 1.0, 1.0])
    stretched, wide = replace(scene, linear=scale.diag()[None]), replace(scene, scales=scene.scales * scale)
    for backend in ("cpu", "torch"):
        config = RenderConfig(backend=backend)
        found, expected = (render(g, camera, config).color for g in (stretched, wide))
        torch.testing.assert_close(found, expected)
        assert not torch.allclose(found, render(scene, camera, config).color, atol=0.01)


def test_cuda_does_not_draw_what_is_on_the_cpu():
    with pytest.raises(ValueError, match=r"expected float32 on a CUDA device, got torch.float32 on cpu"):
        render(*scene_and_camera(), RenderConfig(backend="cuda"))


def test_what_a_backend_lacks_is_known_before():
    load_backend("cpu")
    load_backend("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device: nothing lacks")
    with pytest.raises(ImportError, match="gsplat: needs a CUDA device"):
        load_backend("cuda")


@pytest.mark.cuda
def test_cuda_draws_the_same():
    scene, camera = scene_and_camera()
    ours = render(map_tensors(scene, Tensor.cuda), camera.to("cuda"), RenderConfig(backend="cuda", depth=True))
    truth = render(scene, camera, RenderConfig(backend="torch", depth=True))
    torch.testing.assert_close(ours.color.cpu(), truth.color, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.expected_depth().cpu(), truth.expected_depth(), atol=1e-4, rtol=1e-4)
