"""Compiled forward kinematics against its specification in ``avatar.geometry``."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.engine import forward_kinematics
from avatar.geometry import forward_kinematics as reference
from avatar.geometry import normalize_quats

PARENTS = (-1, 0, 1, 2, 0, 4, 4, 6, 1)


def inputs(*batch: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(dtype)

    return [draw(9, 3), normalize_quats(draw(*batch, 9, 4)), draw(*batch, 3)]


@pytest.mark.parametrize("batch", [(), (1,), (20,), (3, 2), (0,)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_agrees_with_its_specification(batch: tuple[int, ...], dtype: torch.dtype, tolerance: float):
    found, expected = [], []
    for function, values in ((forward_kinematics, found), (reference, expected)):
        leaves = [t.requires_grad_() for t in inputs(*batch, dtype=dtype)]
        posed = function(PARENTS, *leaves)
        weights = torch.randn(posed.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        values += [posed.detach(), *torch.autograd.grad(posed, leaves, weights)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_gradients_are_those_of_finite_differences():
    leaves = [t.requires_grad_() for t in inputs(2)]
    assert gradcheck(lambda *t: forward_kinematics(PARENTS, *t), leaves)


def test_children_before_their_parents_are_taken_too():
    order = torch.tensor([8, 7, 6, 5, 4, 3, 2, 1, 0])
    parents = tuple(-1 if PARENTS[j] < 0 else 8 - PARENTS[j] for j in order.tolist())
    joints, quats, roots = inputs(2)
    turned = forward_kinematics(parents, joints[order], quats[:, order], roots)
    torch.testing.assert_close(turned[:, order], forward_kinematics(PARENTS, joints, quats, roots))


def test_wrong_inputs_are_named():
    joints, quats, roots = inputs(2)
    with pytest.raises(ValueError, match="expected one dtype"):
        forward_kinematics(PARENTS, joints.float(), quats, roots)
    with pytest.raises(ValueError, match="expected one for each of 9 joints, got 8"):
        forward_kinematics(PARENTS[:8], joints, quats, roots)
    with pytest.raises(ValueError, match="expected one root"):
        forward_kinematics((-1, -1, *PARENTS[2:]), joints, quats, roots)
