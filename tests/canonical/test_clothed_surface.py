"""The surface of a hybrid whose Gaussians, or whose shell, are where we put them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from avatar.canonical import ClothedSurfaceConfig, Hybrid, HybridConfig, clothed_surface, membrane
from avatar.geometry import SH_C0, vertex_normals
from avatar.structs import Mesh

RADIUS_M = 0.3


def sphere(level: int = 3) -> Mesh:
    """A ball and, at its end, a vertex of no triangle."""
    ball = trimesh.creation.icosphere(level, RADIUS_M)
    vertices = torch.cat([torch.tensor(ball.vertices).float(), torch.tensor([[1.0, 1, 1]])])
    return Mesh(vertices=vertices, faces=torch.tensor(ball.faces))


@pytest.fixture
def raised() -> Hybrid:
    """Gaussians two centimetres above the ball."""
    hybrid = Hybrid(sphere(), HybridConfig(num_gaussians=4000))
    with torch.no_grad():
        hybrid.offsets[:, 2] = 0.02
        hybrid.colors[:] = torch.tensor([0.2, 0.5, 0.9])
    return hybrid


def heights(means: Tensor) -> Tensor:
    return means[:-1].norm(dim=1) - RADIUS_M


def test_without_a_shell_it_is_where_the_gaussians_are(raised: Hybrid) -> None:
    """A chord of the ball is a millimetre lower than the ball."""
    torch.testing.assert_close(heights(clothed_surface(raised).means), torch.full((642,), 0.02), atol=1.5e-3, rtol=0)


def test_those_that_stand_off_hardly_count(raised: Hybrid) -> None:
    with torch.no_grad():
        raised.offsets[::8, 2] = 0.15
    torch.testing.assert_close(heights(clothed_surface(raised).means), torch.full((642,), 0.02), atol=3e-3, rtol=0)


def test_the_transparent_hardly_count(raised: Hybrid) -> None:
    with torch.no_grad():
        raised.offsets[::2, 2] = 0.03
        raised.opacity_logits[::2] = -12
    torch.testing.assert_close(heights(clothed_surface(raised).means), torch.full((642,), 0.02), atol=2e-3, rtol=0)


def test_a_shell_is_the_surface(raised: Hybrid) -> None:
    shell = 0.05 * vertex_normals(raised.template.vertices, raised.template.faces)
    raised.shell = shell
    assert torch.equal(clothed_surface(raised).means, raised.template.vertices + shell)


def test_it_looks_like_the_gaussians_and_is_bound_to_its_vertices(raised: Hybrid) -> None:
    surface, template = clothed_surface(raised), raised.template
    torch.testing.assert_close(surface.sh[:-1, 0] * SH_C0 + 0.5, torch.tensor([0.2, 0.5, 0.9]).expand(642, 3))
    binding = surface.binding
    assert binding is not None
    corners = template.vertices[template.faces[binding.triangles]]
    assert torch.equal((corners * binding.barycentrics[..., None]).sum(1)[:-1], template.vertices[:-1])
    outwards = torch.nn.functional.normalize(surface.means[:-1], dim=1)
    torch.testing.assert_close(binding.normals[:-1], outwards, atol=0.03, rtol=0)
    assert torch.equal(surface.means[-1], template.vertices[-1])


def test_the_membrane_is_the_integral_of_the_squared_gradient() -> None:
    """Of the height over a ball: 8 pi r^2 / 3; of a constant: nothing."""
    mesh = sphere(4)
    matrix, height = membrane(mesh), mesh.vertices[:, 2].double().numpy()
    assert height[:-1] @ matrix[:-1, :-1] @ height[:-1] == pytest.approx(8 * math.pi * RADIUS_M**2 / 3, rel=0.01)
    assert np.abs(matrix @ np.ones(len(height))).max() < 1e-9


@pytest.mark.parametrize("name", ["smooth_m", "smooth_color_m", "outlier_m"])
def test_configs_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=rf"ClothedSurfaceConfig\.{name}: expected a positive number"):
        replace(ClothedSurfaceConfig(), **{name: 0.0})
