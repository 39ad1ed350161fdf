"""Skinning against its specification and numbers worked out by hand."""

import pytest
import torch
from torch import Tensor

from avatar.engine import Influences, Skinnable, set_threads, skin, skin_reference
from avatar.geometry import matrices_from_quats, normalize_quats, rotate_points

Problem = tuple[Skinnable, Influences, Tensor]


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
    return Skinnable(*(t.to(dtype) for t in rest)), Influences(ids, weights.to(dtype)), rows.to(dtype)


def outcome(function, rest: Skinnable, influences: Influences, joints: Tensor) -> list[Tensor]:
    """Posed points, rotations and normals; gradients of points, rotations and joints for a fixed random loss."""
    inputs = [t.clone().requires_grad_() for t in (rest.points, rest.quats, joints)]
    posed = function(Skinnable(inputs[0], inputs[1], rest.normals), influences, inputs[2])
    generator = torch.Generator().manual_seed(1)
    losses = [(t * torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t)).sum() for t in posed[:2]]
    return [t.detach() for t in posed] + list(torch.autograd.grad(losses[0] + losses[1], inputs))


@pytest.mark.parametrize("count", [0, 1, 300, 9000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_the_reference(count: int, dtype: torch.dtype, tolerance: float):
    truth = outcome(skin_reference, *problem(count))
    for found, expected in zip(outcome(skin, *problem(count, dtype)), truth, strict=True):
        assert found.shape == expected.shape
        assert found.numel() == 0 or (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


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


def test_normals_stay_unit_and_turn_with_the_rotations():
    rest, influences, joints = problem()
    rest = rest._replace(quats=torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).repeat(300, 1))
    posed = skin(rest, influences, joints)
    torch.testing.assert_close(posed.normals.norm(dim=1), torch.ones(300, dtype=torch.float64))
    torch.testing.assert_close(posed.normals, rotate_points(posed.quats, rest.normals))


def test_number_of_threads_changes_nothing():
    scene, results = problem(20_000, torch.float32), []
    try:
        for threads in (1, 2, 3, 2, 1, 5, 2, 2):
            set_threads(threads)
            results.append(outcome(skin, *scene))
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
