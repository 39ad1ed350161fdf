"""Linear blend skinning of points with their rotations and normals, fused, and its plain-torch specification."""

import ctypes
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import multiply_quats, normalize_quats, rotate_points, sum_weighted_rows

from .library import call, integers, is_compiled, pointers

_INPUTS = "Tensor points, Tensor quats, Tensor normals, Tensor ids, Tensor weights, Tensor joints"
torch.library.define("avatar::skin", f"({_INPUTS}) -> (Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::skin_backward", f"(Tensor v_points, Tensor v_quats, {_INPUTS}) -> (Tensor, Tensor, Tensor)"
)


class _Scene(ctypes.Structure):
    _fields_ = [
        *integers("num_points num_joints num_influences"),
        *pointers("points quats normals ids weights joints"),
    ]


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("points quats normals")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("out_points out_quats points quats joints")]


class Skinnable(NamedTuple):
    """What skinning moves: points, rotations ``wxyz`` of any length, and unit normals."""

    points: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    normals: Float[Tensor, "n 3"]


class Influences(NamedTuple):
    """Which joints move each point, and how much; rows of ``weights`` sum to one, unused entries are zero."""

    ids: Int[Tensor, "n k"]
    weights: Float[Tensor, "n k"]


def skin(rest: Skinnable, influences: Influences, joints: Float[Tensor, "j 16"]) -> Skinnable:
    """Points by linear blend skinning; rotations and normals by the normalised mean of the joints' quaternions.

    Args:
        rest: in the rest pose, metres.
        influences: skinning weights, int32 ids.
        joints: for every joint the 3 x 4 ``posed_from_rest`` row by row, then its rotation as a unit quaternion, with
            signs that agree between joints that share points.

    Differentiable with respect to points, quats and joints; normals pass no gradient. Raises ValueError when shapes or
    dtypes do not fit.
    """
    _check(rest, influences, joints)
    if not is_compiled() or rest.points.device.type != "cpu":
        return skin_reference(rest, influences, joints)
    tensors = [t.contiguous() for t in (*rest, influences.ids, influences.weights, joints)]
    return Skinnable(*torch.ops.avatar.skin(*tensors))


def skin_reference(rest: Skinnable, influences: Influences, joints: Float[Tensor, "j 16"]) -> Skinnable:
    """The same in plain torch, for any device."""
    rows = sum_weighted_rows(joints, influences.ids.long(), influences.weights)
    affine, turn = rows[:, :12].unflatten(1, (3, 4)), normalize_quats(rows[:, 12:])
    return Skinnable(
        points=(affine[..., :3] @ rest.points[..., None])[..., 0] + affine[..., 3],
        quats=multiply_quats(turn, rest.quats),
        normals=rotate_points(turn.detach(), rest.normals.detach()),
    )


def _check(rest: Skinnable, influences: Influences, joints: Tensor) -> None:
    n = len(rest.points)
    for name, tensor, shape in (
        ("points", rest.points, (n, 3)),
        ("quats", rest.quats, (n, 4)),
        ("normals", rest.normals, (n, 3)),
        ("ids", influences.ids, (n, influences.ids.shape[-1])),
        ("weights", influences.weights, tuple(influences.ids.shape)),
        ("joints", joints, (len(joints), 16)),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"skin: {name}: expected shape {shape}, got {tuple(tensor.shape)}")
        dtype = torch.int32 if name == "ids" else rest.points.dtype
        if tensor.dtype != dtype:
            raise ValueError(f"skin: {name}: expected {dtype}, got {tensor.dtype}")


def _scene(inputs: tuple[Tensor, ...]) -> _Scene:
    points, _, _, ids, _, joints = inputs
    return _Scene(len(points), len(joints), ids.shape[1], *(t.data_ptr() for t in inputs))


@torch.library.impl("avatar::skin", "cpu")
def _forward(*inputs: Tensor) -> tuple[Tensor, ...]:
    outputs = tuple(torch.empty_like(t) for t in inputs[:3])
    arguments = _Arguments(_scene(inputs), *(t.data_ptr() for t in outputs))
    if call("skin", inputs[0].dtype, arguments) != 0:
        ids, last = inputs[3], len(inputs[5]) - 1
        raise ValueError(f"skin: ids: expected joints 0 to {last}, got {int(ids.min())} to {int(ids.max())}")
    return outputs


@torch.library.register_fake("avatar::skin")
def _forward_fake(*inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(t) for t in inputs[:3])


@torch.library.impl("avatar::skin_backward", "cpu")
def _backward(v_points: Tensor, v_quats: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    gradients = _backward_fake(v_points, v_quats, *inputs)
    addresses = (t.data_ptr() for t in (v_points, v_quats, *gradients))
    call("skin_backward", v_points.dtype, _GradientArguments(_scene(inputs), *addresses))
    return gradients


@torch.library.register_fake("avatar::skin_backward")
def _backward_fake(v_points: Tensor, v_quats: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    del v_points, v_quats
    return torch.empty_like(inputs[0]), torch.empty_like(inputs[1]), torch.empty_like(inputs[5])


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs)
    ctx.mark_non_differentiable(output[2])


@once_differentiable
def _differentiate(ctx, v_points: Tensor, v_quats: Tensor, _v_normals: Tensor | None) -> tuple:
    gradients = torch.ops.avatar.skin_backward(v_points.contiguous(), v_quats.contiguous(), *ctx.saved_tensors)
    return gradients[0], gradients[1], None, None, None, gradients[2]


torch.library.register_autograd("avatar::skin", _differentiate, setup_context=_setup_context)
