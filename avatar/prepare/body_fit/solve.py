"""How poses and person are the unknowns of an optimiser."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import cholesky, solve_triangular

from avatar.descent import lbfgs
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.structs import map_tensors

from .estimate import Estimate

TOLERANCE = 1e-7  # change of cost or coordinates that is none
_NUDGE = 1e-3  # radians, metres, or a thousandth of a shape parameter: what derivatives are measured with
_FLOOR = 1e-6  # of quadratic forms, so that all directions count
_OFFSET_M = 0.02  # so far offsets may change in a step


def refine(
    start: Estimate,
    cost: Callable[[Estimate], Float[Tensor, ""]],
    moved: Callable[[Estimate], Float[Tensor, "f m"]],
    steps: int,
    with_person: bool,
) -> Estimate:
    """The estimate of least cost near ``start``; shape and offsets are unknown too if asked.

    ``moved`` measures estimates: numbers whose squared changes are about what changes of the estimate cost.
    """
    scales = _Scales.of(start, moved)
    poses = torch.zeros(scales.poses.shape[:2], requires_grad=True)
    shape, offsets = (torch.zeros_like(values, requires_grad=with_person) for values in (start.shape, start.offsets))

    def estimate() -> Estimate:
        changed = scales.estimate(start, poses, shape)
        return replace(changed, offsets=start.offsets + _OFFSET_M * len(start) ** -0.5 * offsets)

    unknowns = [poses, *((shape, offsets) if with_person else ())]
    lbfgs(lambda: cost(estimate()), unknowns, steps, TOLERANCE)
    return map_tensors(estimate(), Tensor.detach)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scales:
    """Coordinates of poses and shape in which changes of equal length change about as much.

    With the sum of squared changes of what is moved as a quadratic form, these are the rows of the inverse of its
    Cholesky factor: frame by frame, and then the shape with the poses that compensate for it.

    Attributes:
        poses: change of a pose's unknowns by a coordinate of its frame.
        shape: change of the shape by its coordinates.
        response: change of a pose's unknowns by the shape's.
    """

    poses: Float[Tensor, "f u u"]
    shape: Float[Tensor, "p p"]
    response: Float[Tensor, "f u p"]

    @classmethod
    @torch.no_grad()
    def of(cls, start: Estimate, moved: Callable[[Estimate], Float[Tensor, "f m"]]) -> "_Scales":
        """Those about an estimate, by finite differences."""
        count, size = len(start), 6 + start.turns.shape[1] * 3
        middle = moved(start)
        repeated = start.frames(torch.arange(count).repeat_interleave(size))
        nudged = moved(_changed(repeated, _NUDGE * torch.eye(size).repeat(count, 1)))
        by_pose = (nudged.unflatten(0, (count, size)) - middle[:, None]).double() / _NUDGE
        nudges = _NUDGE * torch.eye(len(start.shape))
        people = [moved(replace(start, shape=start.shape + nudge)) - middle for nudge in nudges]
        by_shape = torch.stack(people, dim=2).double() / _NUDGE
        forms = by_pose @ by_pose.mT + _FLOOR * torch.eye(size)
        response = -torch.linalg.solve(forms, by_pose @ by_shape)
        left = by_shape + by_pose.mT @ response
        form = (left.mT @ left).sum(0) + _FLOOR * torch.eye(len(nudges))
        return cls(poses=_inverse_factor(forms), shape=_inverse_factor(form), response=response.float())

    def estimate(self, start: Estimate, poses: Float[Tensor, "f u"], shape: Float[Tensor, " p"]) -> Estimate:
        """The estimate with these coordinates, counted from ``start``."""
        change = self.shape @ shape
        changed = _changed(start, (self.poses @ poses[..., None])[..., 0] + self.response @ change)
        return replace(changed, shape=start.shape + change)


def _inverse_factor(form: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    eye = torch.eye(form.shape[-1], dtype=form.dtype)
    return solve_triangular(cholesky(form).mT, eye, upper=True).float()


def _changed(start: Estimate, changes: Float[Tensor, "f u"]) -> Estimate:
    """An estimate with changes of the root's place, of its rotation and of turns."""
    shift, root_turn, turns = changes.split([3, 3, changes.shape[1] - 6], dim=1)
    return replace(
        start,
        root_positions=start.root_positions + shift,
        root_quats=multiply_quats(quats_from_axis_angles(root_turn), start.root_quats),
        turns=start.turns + turns.unflatten(1, (-1, 3)),
    )
