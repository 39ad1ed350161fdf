import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.geometry import (
    axis_angles_from_matrices,
    axis_angles_from_quats,
    conjugate_quats,
    matrices_from_axis_angles,
    matrices_from_quats,
    multiply_quats,
    nearest_rotations,
    normalize_quats,
    quats_from_axis_angles,
    quats_from_matrices,
    rotate_points,
    slerp,
)

ANGLES = [0.0, 1e-12, 1e-7, 9.99e-4, 2.01e-3, 0.1, 1.0, 3.0, math.pi - 1e-4, math.pi - 1e-9, math.pi]


def axes() -> Tensor:
    """The six directions along axes, where entries of a matrix vanish, and ten at random."""
    eye = torch.eye(3, dtype=torch.float64)
    random = torch.randn(10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.cat([eye, -eye, random / random.norm(dim=-1, keepdim=True)])


def random_quats(*shape: int, seed: int = 0) -> Tensor:
    return normalize_quats(torch.randn(*shape, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))


def test_a_quarter_turn_by_hand():
    half = math.sqrt(0.5)
    quat = torch.tensor([half, 0.0, 0.0, half])  # a quarter turn about z takes x to y
    expected = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(matrices_from_quats(quat), expected)
    torch.testing.assert_close(rotate_points(quat, torch.tensor([1.0, 0.0, 0.0])), torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(axis_angles_from_quats(quat), torch.tensor([0.0, 0.0, math.pi / 2]))


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_forms_agree_at_every_angle(angle: float, dtype: torch.dtype):
    tolerance = 4e-7 if dtype == torch.float32 else 1e-14
    vectors = (axes() * angle).to(dtype)
    quats = quats_from_axis_angles(vectors)
    matrices = matrices_from_axis_angles(vectors)
    generators = torch.linalg.cross(vectors[:, None].expand(-1, 3, 3), torch.eye(3, dtype=dtype).expand(16, 3, 3)).mT
    torch.testing.assert_close(matrices, torch.linalg.matrix_exp(generators), atol=4 * tolerance, rtol=0)
    torch.testing.assert_close(quats.norm(dim=-1), torch.ones(16, dtype=dtype), atol=tolerance, rtol=0)
    torch.testing.assert_close(matrices_from_quats(quats_from_matrices(matrices)), matrices, atol=4 * tolerance, rtol=0)
    back = matrices_from_axis_angles(axis_angles_from_matrices(matrices))
    torch.testing.assert_close(back, matrices, atol=8 * tolerance, rtol=0)
    if angle < 3.1:
        torch.testing.assert_close(axis_angles_from_quats(quats), vectors, atol=4 * tolerance, rtol=0)
        torch.testing.assert_close(axis_angles_from_quats(-quats), vectors, atol=4 * tolerance, rtol=0)


def test_products_are_products_of_matrices():
    left, right = random_quats(5, 7, seed=1), random_quats(7, seed=2)
    product = matrices_from_quats(multiply_quats(left, right))
    torch.testing.assert_close(product, matrices_from_quats(left) @ matrices_from_quats(right))
    identity = multiply_quats(left, conjugate_quats(left))
    torch.testing.assert_close(identity, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(5, 7, 4))


def test_matrices_are_rotations_and_turn_points_alike():
    quats = random_quats(50)
    matrices = matrices_from_quats(quats)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(50, dtype=torch.float64))
    points = torch.randn(4, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(rotate_points(quats, points), (matrices @ points[..., None]).squeeze(-1))


def test_normalizing_zero_stays_finite_forward_and_backward():
    zero = torch.zeros(2, 4, requires_grad=True)
    normalize_quats(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize("angle", ANGLES)
def test_gradients_through_matrices_hold_at_every_angle(angle: float):
    vectors = (axes() * angle).requires_grad_()
    assert gradcheck(matrices_from_axis_angles, vectors, atol=1e-7)
    matrices = matrices_from_axis_angles(vectors.detach()).requires_grad_()
    # By way of the matrix again: a quaternion itself changes sign at the half turn, its matrix does not.
    assert gradcheck(lambda m: matrices_from_quats(quats_from_matrices(m)), matrices, atol=1e-7)


@pytest.mark.parametrize("angle", [angle for angle in ANGLES if angle < math.pi - 1e-5])
def test_gradients_of_the_logarithm_hold_below_the_half_turn(angle: float):
    quats = quats_from_axis_angles(axes() * angle).requires_grad_()
    assert gradcheck(axis_angles_from_quats, quats, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_gradient_is_nan_at_the_identity_or_the_half_turn(dtype: torch.dtype):
    vectors = torch.cat([axes() * 0.0, axes() * math.pi]).to(dtype).requires_grad_()
    axis_angles_from_matrices(matrices_from_axis_angles(vectors)).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()
    assert vectors.grad.abs().max() < 10


def test_gradcheck_catches_a_planted_error():
    quats = random_quats(3).requires_grad_()
    assert gradcheck(matrices_from_quats, quats)
    # The right value with twice its derivative:
    assert not gradcheck(lambda q: matrices_from_quats(2 * q - q.detach()), quats, raise_exception=False)


def test_slerp_goes_the_short_way_at_constant_speed():
    start, turn = random_quats(6, seed=4), axes()[6:12] * 2.0
    end = multiply_quats(quats_from_axis_angles(turn), start)
    for fraction in (0.0, 0.25, 1.0):
        expected = multiply_quats(quats_from_axis_angles(turn * fraction), start)
        torch.testing.assert_close(slerp(start, end, fraction), expected)
        torch.testing.assert_close(slerp(start, -end, fraction), expected)
    fractions = torch.linspace(0, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(
        slerp(start, end, fractions), multiply_quats(quats_from_axis_angles(turn * fractions[:, None]), start)
    )


def test_slerp_of_equal_and_of_nearly_equal_rotations():
    start = random_quats(6)
    torch.testing.assert_close(slerp(start, start, 0.3), start)
    end = multiply_quats(quats_from_axis_angles(axes()[:6] * 1e-9), start)
    assert gradcheck(lambda a, b: slerp(a, b, 0.3), (start.requires_grad_(), end.requires_grad_()))


def test_the_nearest_rotation_turns_points_back_and_never_mirrors():
    turns = matrices_from_quats(random_quats(5))
    points = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(nearest_rotations((points @ turns.mT).mT @ points), turns)
    mirrored = nearest_rotations(turns @ torch.diag(torch.tensor([3.0, 2.0, -1.0], dtype=torch.float64)))
    torch.testing.assert_close(mirrored, turns)
