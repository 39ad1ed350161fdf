"""Skinning against its specification and numbers worked out by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from avatar.engine import (
    Covariance,
    Influences,
    Skinnable,
    set_threads,
    skin,
    skin_points,
    skin_points_reference,
    skin_reference,
)
from avatar.geometry import dqs, lbs, matrices_from_quats, normalize_quats, rotate_points

Problem = tuple[Skinnable, Influences, Tensor]
FRACTIONS = (0.0, 0.3, 1.0)
ONE_EACH = math.nan


def mixes(count: int) -> Tensor:
    """A random fraction for every point."""
    return torch.rand(count, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def problem(count: int = 300, dtype: torch.dtype = torch.float64, influences: int = 5, joints: int = 9) -> Problem:
    """Random points under random rigid joints with quaternions in one half-space; some influences weigh nothing."""
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    quats = normalize_quats(normal(joints, 4) * 0.5 + torch.tensor([1.0, 0, 0, 0]))
    transforms = torch.cat([matrices_from_quats(quats), normal(joints, 3, 1)], 2)
    weights = normal(count, influences).relu() + 1e-9
    rest = Skinnable(normal(count, 3), normal(count, 4), torch.nn.functional.normalize(normal(count, 3), dim=1))
    ids = torch.randint(joints, (count, influences), generator=generator, dtype=torch.int32)
    weights = weights / weights.sum(1, keepdim=True)
    rows = torch.cat([transforms.flatten(1), quats], 1)
    return Skinnable(*(t.to(dtype) for t in rest[:3])), Influences(ids, weights.to(dtype)), rows.to(dtype)


def outcome(
    function,
    rest: Skinnable,
    influences: Influences,
    joints: Tensor,
    fraction: float = 0.0,
    covariance: Covariance = "rotation",
) -> list[Tensor]:
    """Posed points, rotations, normals; gradients of points, rotations, weights, joints for a fixed random loss.

    No number for the fraction stands for a random one for each point, which has a gradient as well. Linear maps, where
    there are any, come last.
    """
    inputs = [t.clone().requires_grad_() for t in (rest.points, rest.quats, influences.weights, joints)]
    points, quats, weights, joints = inputs
    mix: float | Tensor = fraction
    if math.isnan(fraction):
        mix = mixes(len(points)).to(points).requires_grad_()
        inputs.append(mix)
    linear = None if rest.linear is None else rest.linear.clone().requires_grad_()
    inputs += [] if linear is None else [linear]
    moved, influences = Skinnable(points, quats, rest.normals, linear), Influences(influences.ids, weights)
    posed = [t for t in function(moved, influences, joints, dqs_fraction=mix, covariance=covariance) if t is not None]
    generator = torch.Generator().manual_seed(1)
    losses = [(t * torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t)).sum() for t in posed]
    gradients = torch.autograd.grad(losses[0] + losses[1] + sum(losses[3:]), inputs, materialize_grads=True)
    return [t.detach() for t in posed] + list(gradients)


@pytest.mark.parametrize("count", [0, 1, 17, 300, 9000])
@pytest.mark.parametrize("fraction", [*FRACTIONS, ONE_EACH])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 5e-5)])
def test_equals_the_reference(count: int, fraction: float, dtype: torch.dtype, tolerance: float):
    """In float32 a few means of quaternions nearly vanish, and their direction with them."""
    truth = outcome(skin_reference, *problem(count), fraction)
    for found, expected in zip(outcome(skin, *problem(count, dtype), fraction), truth, strict=True):
        assert found.shape == expected.shape
        assert found.numel() == 0 or (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


def sheared(rest: Skinnable) -> Skinnable:
    """With a random linear map for every point."""
    generator = torch.Generator().manual_seed(2)
    return rest._replace(
        linear=torch.randn(len(rest.points), 3, 3, generator=generator, dtype=torch.float64).to(rest.points)
    )


@pytest.mark.parametrize("count", [0, 1, 17, 300])
@pytest.mark.parametrize("fraction", [*FRACTIONS, ONE_EACH])
@pytest.mark.parametrize("covariance", ["rotation", "jacobian"])
@pytest.mark.parametrize("has_linear", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 5e-5)])
def test_linear_maps_equal_the_reference(
    count: int, fraction: float, covariance: Covariance, has_linear: bool, dtype: torch.dtype, tolerance: float
):
    outcomes = []
    for function, kind in ((skin_reference, torch.float64), (skin, dtype)):
        rest, influences, joints = problem(count, kind)
        rest = sheared(rest) if has_linear else rest
        outcomes.append(outcome(function, rest, influences, joints, fraction, covariance))
    for expected, found in zip(*outcomes, strict=True):
        assert found.shape == expected.shape
        assert found.numel() == 0 or (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_the_jacobian_is_the_derivative_of_the_motion(fraction: float):
    """With weights and fractions held fixed; the linear maps that were there come first."""
    rest, influences, joints = problem(20)
    rest = sheared(rest)

    def moved(points: Tensor) -> Tensor:
        return skin_points(points, influences, joints, dqs_fraction=fraction).sum(0)

    derivative = torch.autograd.functional.jacobian(moved, rest.points).permute(1, 0, 2)
    posed = skin(rest, influences, joints, dqs_fraction=fraction, covariance="jacobian")
    torch.testing.assert_close(posed.linear, derivative @ rest.linear, rtol=0, atol=1e-12)
    assert posed.quats is rest.quats
    plain = skin(rest._replace(linear=None), influences, joints, dqs_fraction=fraction, covariance="jacobian")
    torch.testing.assert_close(plain.linear, derivative, rtol=0, atol=1e-12)


def test_turned_linear_maps_are_turned_rotations():
    rest, influences, joints = problem()
    eye = torch.eye(3, dtype=torch.float64).repeat(300, 1, 1)
    turned, posed = skin(rest, influences, joints), skin(rest._replace(linear=eye), influences, joints)
    before, after = (matrices_from_quats(normalize_quats(q)) for q in (rest.quats, turned.quats))
    assert posed.linear is not None
    torch.testing.assert_close(posed.linear @ before, after, rtol=0, atol=1e-12)


def test_a_loss_of_points_alone_gives_linear_maps_no_gradient():
    rest, influences, joints = problem()
    linear = torch.ones(300, 3, 3, dtype=torch.float64, requires_grad=True)
    posed = skin(rest._replace(linear=linear), influences, joints, covariance="jacobian")
    weights = rest.points.requires_grad_()
    gradient, _ = torch.autograd.grad(posed.points.sum(), (linear, weights), allow_unused=True)
    assert gradient is None or not bool(gradient.any())


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_points_alone_are_those_of_all(fraction: float):
    rest, influences, joints = problem(100)
    inputs = [t.clone().requires_grad_() for t in (rest.points, influences.weights, joints)]
    outcomes = []

    def skin_all(points: Tensor, *others: Any, dqs_fraction: float) -> Tensor:
        return skin(rest._replace(points=points), *others, dqs_fraction=dqs_fraction).points

    for function in (skin_all, skin_points, skin_points_reference):
        points = function(inputs[0], Influences(influences.ids, inputs[1]), inputs[2], dqs_fraction=fraction)
        outcomes.append([points.detach(), *torch.autograd.grad(points.square().sum(), inputs)])
    for other in outcomes[1:]:
        for one, another in zip(outcomes[0], other, strict=True):
            torch.testing.assert_close(one, another, rtol=1e-10, atol=1e-10)


def test_each_point_goes_its_own_part_of_the_way():
    rest, influences, joints = problem(100)
    linear, dual = (skin_points(rest.points, influences, joints, dqs_fraction=end) for end in (0.0, 1.0))
    fractions = mixes(100)
    fractions[:3] = torch.tensor([0.0, 1.0, 0.5])
    for function in (skin_points, skin_points_reference):
        found = function(rest.points, influences, joints, dqs_fraction=fractions.requires_grad_())
        torch.testing.assert_close(found, linear + fractions[:, None] * (dual - linear), rtol=0, atol=1e-12)
        (gradient,) = torch.autograd.grad(found[:, 1].sum(), fractions)
        torch.testing.assert_close(gradient, (dual - linear)[:, 1], rtol=0, atol=1e-12)


def test_both_ends_are_those_of_geometry():
    """Dual quaternions of geometry choose signs by the strongest joint: here all lie in one half-space."""
    rest, influences, joints = problem()
    joints[:, 12:] *= joints[:, 12:13].sign()
    transforms = torch.eye(4, dtype=torch.float64).repeat(9, 1, 1)
    transforms[:, :3] = joints[:, :12].unflatten(1, (3, 4))
    ids = influences.ids[:, :1].repeat(1, 5)
    ids[:, 1] = (ids[:, 0] + 1) % 9
    weights = torch.cat([influences.weights[:, :2], torch.zeros(300, 3).double()], 1)
    weights = weights / weights.sum(1, keepdim=True)
    turns = joints[:, 12:]
    agree = ((turns[ids[:, 0].long()] * turns[ids[:, 1].long()]).sum(1) > 0).nonzero()[:, 0]
    assert len(agree) > 50
    chosen = (rest.points[agree], ids[agree].long(), weights[agree], transforms)
    for fraction, function in ((0.0, lbs), (1.0, dqs)):
        found = skin_points(rest.points, Influences(ids, weights), joints, dqs_fraction=fraction)[agree]
        torch.testing.assert_close(found, function(*chosen), rtol=0, atol=1e-10)


@pytest.mark.parametrize("function", [skin, skin_reference])
def test_one_joint_by_hand(function):
    """A quarter turn about z and a step of (1, 2, 3): x goes to y, y to -x."""
    half = 0.5**0.5
    joint = torch.tensor([[0.0, -1, 0, 1, 1, 0, 0, 2, 0, 0, 1, 3, half, 0, 0, half]])
    rest = Skinnable(torch.tensor([[5.0, 7, 0]]), torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([[1.0, 0, 0]]))
    posed = function(rest, Influences(torch.zeros(1, 1).int(), torch.ones(1, 1)), joint)
    torch.testing.assert_close(posed.points, torch.tensor([[-7.0 + 1, 5 + 2, 3]]))
    torch.testing.assert_close(posed.quats, torch.tensor([[2 * half, 0, 0, 2 * half]]))
    torch.testing.assert_close(posed.normals, torch.tensor([[0.0, 1, 0]]))


def test_halfway_between_two_joints_by_hand():
    """Half of rest and half of a half turn about z: points fall onto the axis, rotations take a quarter turn."""
    joints = torch.tensor(
        [[1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0], [-1.0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]]
    )
    rest = Skinnable(torch.tensor([[1.0, 2, 3]]), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[1.0, 0, 0]]))
    posed = skin(rest, Influences(torch.tensor([[0, 1]], dtype=torch.int32), torch.full((1, 2), 0.5)), joints)
    torch.testing.assert_close(posed.points, torch.tensor([[0.0, 0, 3]]))
    torch.testing.assert_close(posed.quats, torch.tensor([[0.5**0.5, 0, 0, 0.5**0.5]]))
    torch.testing.assert_close(posed.normals, torch.tensor([[0.0, 1, 0]]))


def test_dual_quaternions_by_hand():
    """Half of rest and half of a half turn about z through (1, 0, 0): a quarter turn about that axis."""
    joints = torch.tensor(
        [[1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0], [-1.0, 0, 0, 2, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]]
    )
    influences = Influences(torch.tensor([[0, 1]], dtype=torch.int32), torch.full((1, 2), 0.5))
    for function in (skin_points, skin_points_reference):
        posed = function(torch.tensor([[4.0, 0, 5]]), influences, joints, dqs_fraction=1.0)
        torch.testing.assert_close(posed, torch.tensor([[1.0, 3, 5]]))


def test_an_empty_mean_of_quaternions_leaves_numbers():
    """Opposite quaternions of equal weight have no mean: rotations become zero, nothing else is touched."""
    joints = torch.eye(3, 4).flatten().repeat(2, 1)
    quats = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    influences = Influences(torch.tensor([[0, 1]], dtype=torch.int32), torch.full((1, 2), 0.5))
    rest = Skinnable(torch.ones(1, 3), torch.ones(1, 4), torch.ones(1, 3))
    for fraction in (*FRACTIONS, ONE_EACH):
        assert all(
            bool(t.isfinite().all()) for t in outcome(skin, rest, influences, torch.cat([joints, quats], 1), fraction)
        )


def test_a_point_that_is_no_number_spoils_no_other():
    rest, influences, joints = problem()
    points = rest.points.clone()
    points[20] = torch.nan
    posed = skin(rest._replace(points=points), influences, joints, dqs_fraction=0.5)
    assert posed.points.isnan().any(1).nonzero().tolist() == [[20]]
    assert bool(posed.quats.isfinite().all())


def test_what_an_earlier_call_left_in_memory_does_not_matter():
    """Linear skinning reads nothing of the dual quaternions that it does not make."""
    rest, influences, joints = problem(300, torch.float32)
    truth = outcome(skin, rest, influences, joints)
    for _ in range(20):
        outcome(skin, rest, influences, torch.full_like(joints, torch.nan), 1.0)
        for found, expected in zip(outcome(skin, rest, influences, joints), truth, strict=True):
            assert torch.equal(found, expected)


def test_normals_stay_unit_and_turn_with_the_rotations():
    rest, influences, joints = problem()
    rest = rest._replace(quats=torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).repeat(300, 1))
    posed = skin(rest, influences, joints)
    torch.testing.assert_close(posed.normals.norm(dim=1), torch.ones(300, dtype=torch.float64))
    torch.testing.assert_close(posed.normals, rotate_points(posed.quats, rest.normals))


@pytest.mark.parametrize("fraction", [*FRACTIONS, ONE_EACH])
@pytest.mark.parametrize("covariance", ["rotation", "jacobian"])
def test_number_of_threads_changes_nothing(fraction: float, covariance: Covariance):
    (rest, influences, joints), results = problem(20_000, torch.float32), []
    rest = sheared(rest) if covariance == "jacobian" else rest
    try:
        for threads in (1, 2, 3, 2, 1, 5, 2, 2):
            set_threads(threads)
            results.append(outcome(skin, rest, influences, joints, fraction, covariance))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": torch.zeros(299, 3).double()}, r"quats: expected shape \(299, 4\), got \(300, 4\)"),
        ({"quats": torch.zeros(300, 4)}, "quats: expected torch.float64, got torch.float32"),
        ({"normals": torch.zeros(300, 4).double()}, r"normals: expected shape \(300, 3\), got \(300, 4\)"),
        ({"linear": torch.zeros(300, 9).double()}, r"linear: expected shape \(300, 3, 3\), got \(300, 9\)"),
        ({"ids": torch.zeros(300, 5).long()}, "ids: expected torch.int32, got torch.int64"),
        ({"weights": torch.zeros(300, 4).double()}, r"weights: expected shape \(300, 5\), got \(300, 4\)"),
        ({"ids": torch.full((300, 5), 9).int()}, "ids: expected joints 0 to 8, got 9 to 9"),
        ({"ids": torch.full((300, 5), -1).int()}, "ids: expected joints 0 to 8, got -1 to -1"),
    ],
)
def test_wrong_inputs_are_named(change: dict, message: str):
    rest, influences, joints = problem()
    rest = rest._replace(**{name: t for name, t in change.items() if name in Skinnable._fields})
    influences = influences._replace(**{name: t for name, t in change.items() if name in Influences._fields})
    with pytest.raises(ValueError, match=message):
        skin(rest, influences, joints)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_fractions_are_between_zero_and_one(fraction: float):
    with pytest.raises(ValueError, match="skin: dqs_fraction: expected 0 to 1, got"):
        skin(*problem(1), dqs_fraction=fraction)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [(torch.ones(2).double(), r"expected shape \(3,\), got \(2,\)"), (torch.ones(3), "expected torch.float64, got")],
)
def test_wrong_fractions_are_named(fractions: Tensor, message: str):
    with pytest.raises(ValueError, match=f"skin: dqs_fraction: {message}"):
        skin(*problem(3), dqs_fraction=fractions)
