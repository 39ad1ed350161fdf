import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import SH_C0, evaluate_sh, normalize_quats, rotate_points, sh_basis


def quadrature() -> tuple[Tensor, Tensor]:
    """Directions and weights that integrate polynomials of degree 7 over the sphere exactly."""
    heights, height_weights = np.polynomial.legendre.leggauss(4)
    angles = np.arange(8) * (2 * math.pi / 8)
    z, phi = np.meshgrid(heights, angles, indexing="ij")
    radius = np.sqrt(1 - z * z)
    directions = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=-1).reshape(-1, 3)
    return torch.from_numpy(directions), torch.from_numpy(np.repeat(height_weights * (2 * math.pi / 8), 8))


def test_the_basis_is_orthonormal():
    directions, weights = quadrature()
    basis = sh_basis(directions, 3)
    gram = basis.mT @ (weights[:, None] * basis)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=1e-14, rtol=0)


def test_order_and_signs_are_those_of_the_textbook_with_the_condon_shortley_phase():
    directions, _ = quadrature()
    x, y, z = directions.numpy().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    columns = []
    for degree in range(4):
        for order in range(-degree, degree + 1):
            harmonic = sph_harm_y(degree, abs(order), polar, azimuth)
            part = harmonic.real if order >= 0 else harmonic.imag
            columns.append(part * (math.sqrt(2) if order else 1))
    torch.testing.assert_close(sh_basis(directions, 3), torch.from_numpy(np.stack(columns, axis=-1)))


def test_numbers_by_hand():
    up = sh_basis(torch.tensor([0.0, 0.0, 1.0]), 3)
    expected = torch.zeros(16)
    for degree in range(4):  # on the axis only m = 0 is left, with sqrt((2l + 1) / (4 pi))
        expected[degree * (degree + 1)] = math.sqrt((2 * degree + 1) / (4 * math.pi))
    torch.testing.assert_close(up, expected)
    along_x = sh_basis(torch.tensor([1.0, 0.0, 0.0]), 1)
    torch.testing.assert_close(along_x, torch.tensor([SH_C0, 0, 0, -math.sqrt(3 / (4 * math.pi))]))


def test_turning_all_directions_keeps_each_degrees_energy():
    directions, _ = quadrature()
    turned = rotate_points(normalize_quats(torch.tensor([1.0, 2, -3, 4], dtype=torch.float64)), directions)
    sizes = [1, 3, 5, 7]
    for degree, part in enumerate(sh_basis(turned, 3).split(sizes, dim=-1)):
        energy = torch.full((32,), (2 * degree + 1) / (4 * math.pi), dtype=torch.float64)
        torch.testing.assert_close(part.square().sum(-1), energy)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_evaluation_is_the_basis_times_the_coefficients(degree: int):
    directions, _ = quadrature()
    coefficients = torch.randn(32, (degree + 1) ** 2, 3, dtype=torch.float64)
    values = evaluate_sh(coefficients, directions)
    expected = torch.einsum("nk,nkd->nd", sh_basis(directions, degree), coefficients)
    torch.testing.assert_close(values, expected)
    assert sh_basis(directions.reshape(4, 8, 3), degree).shape == (4, 8, (degree + 1) ** 2)


def test_gradients():
    directions, _ = quadrature()
    coefficients = torch.randn(4, 16, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(evaluate_sh, (coefficients, directions[:4].requires_grad_()))


def test_other_degrees_are_refused():
    with pytest.raises(ValueError, match="degree: expected 0 to 3, got 4"):
        sh_basis(torch.ones(1, 3), 4)
    with pytest.raises(ValueError, match="got 5"):
        evaluate_sh(torch.ones(1, 5, 3), torch.ones(1, 3))
