"""Rotations by angles about the axes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import multiply_quats, quats_from_axis_angles


def quats_from_euler(degrees: Float[Tensor, "f a"], axes: Sequence[int]) -> Float[Tensor, "f 4"]:
    """The product, left to right, of the elementary rotations by these angles about axis 0 (x), 1 (y) or 2 (z)."""
    quats = degrees.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(len(degrees), 4)
    for column, axis in enumerate(axes):
        turns = degrees.new_zeros(len(degrees), 3)
        turns[:, axis] = torch.deg2rad(degrees[:, column])
        quats = multiply_quats(quats, quats_from_axis_angles(turns))
    return quats
