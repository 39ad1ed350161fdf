"""Skinning of points with their rotations and normals, fused, and its plain-torch specification."""

import ctypes
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import (
    conjugate_quats,
    multiply_quats,
    normalize_quats,
    rotate_points,
    sum_weighted_rows,
)

from .library import call, integers, is_compiled, numbers, pointers

_INPUTS = (
    "Tensor points, Tensor? quats, Tensor? normals, Tensor ids, Tensor weights, Tensor joints, "
    "Tensor? dqs_fractions, float dqs_fraction"
)
torch.library.define("avatar::skin", f"({_INPUTS}) -> (Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::skin_backward",
    f"(Tensor? v_points, Tensor? v_quats, bool wants_weights, bool wants_joints, {_INPUTS}) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)


class _Scene(ctypes.Structure):
    _fields_ = [
        *integers("num_points num_joints num_influences"),
        *pointers("points quats normals ids weights joints dqs_fractions"),
        *numbers("dqs_fraction"),
    ]


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("points quats normals")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("out_points out_quats points quats joints weights dqs_fractions")]


class Skinnable(NamedTuple):
    """What skinning moves: points, rotations ``wxyz`` of any length, and unit normals."""

    points: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    normals: Float[Tensor, "n 3"]


Fraction = float | Float[Tensor, " n"]
"""How far each point is on its way from linear (0) to dual-quaternion skinning (1): one for all, or one a point."""


class Influences(NamedTuple):
    """Which joints move each point, and how much; rows of ``weights`` sum to one, unused entries are zero."""

    ids: Int[Tensor, "n k"]
    weights: Float[Tensor, "n k"]


def skin(
    rest: Skinnable, influences: Influences, joints: Float[Tensor, "j 16"], *, dqs_fraction: Fraction = 0.0
) -> Skinnable:
    """Points by skinning; rotations and normals by the normalised mean of the joints' quaternions.

    Args:
        rest: in the rest pose, metres.
        influences: skinning weights, int32 ids.
        joints: for every joint the 3 x 4 ``posed_from_rest`` row by row, then its rotation as a unit quaternion, with
            signs that agree between joints that share points.
        dqs_fraction: 0 moves points by the mean of the joints' matrices, which may be any; 1 by the normalised mean of
            their dual quaternions (Kavan et al. 2008), made of quaternion and translation; between, part of the way.
            A number, or a tensor with one in [0, 1] for every point.

    Differentiable with respect to points, quats, weights, joints and a tensor of fractions; normals pass no gradient.
    Raises ValueError when shapes, dtypes or the fraction do not fit.
    """
    _check(rest, influences, joints, dqs_fraction)
    if not is_compiled() or rest.points.device.type != "cpu":
        return skin_reference(rest, influences, joints, dqs_fraction=dqs_fraction)
    return Skinnable(*_call(*rest, *influences, joints, dqs_fraction))


def skin_points(
    points: Float[Tensor, "n 3"],
    influences: Influences,
    joints: Float[Tensor, "j 16"],
    *,
    dqs_fraction: Fraction = 0.0,
) -> Float[Tensor, "n 3"]:
    """The points of ``skin`` alone."""
    _check(points, influences, joints, dqs_fraction)
    if not is_compiled() or points.device.type != "cpu":
        return skin_points_reference(points, influences, joints, dqs_fraction=dqs_fraction)
    return _call(points, None, None, *influences, joints, dqs_fraction)[0]


def skin_reference(
    rest: Skinnable, influences: Influences, joints: Float[Tensor, "j 16"], *, dqs_fraction: Fraction = 0.0
) -> Skinnable:
    """``skin`` in plain torch, for any device."""
    turn = normalize_quats(sum_weighted_rows(joints[:, 12:], influences.ids.long(), influences.weights))
    return Skinnable(
        points=skin_points_reference(rest.points, influences, joints, dqs_fraction=dqs_fraction),
        quats=multiply_quats(turn, rest.quats),
        normals=rotate_points(turn.detach(), rest.normals.detach()),
    )


def skin_points_reference(
    points: Float[Tensor, "n 3"],
    influences: Influences,
    joints: Float[Tensor, "j 16"],
    *,
    dqs_fraction: Fraction = 0.0,
) -> Float[Tensor, "n 3"]:
    """``skin_points`` in plain torch, for any device."""

    def means_of(rows: Tensor) -> Tensor:
        return sum_weighted_rows(rows, influences.ids.long(), influences.weights)

    transforms, quats = joints[:, :12].unflatten(1, (3, 4)), joints[:, 12:]
    affine = means_of(transforms.flatten(1)).unflatten(1, (3, 4))
    linear = (affine[..., :3] @ points[..., None])[..., 0] + affine[..., 3]
    if not isinstance(dqs_fraction, Tensor) and dqs_fraction == 0.0:
        return linear
    twice_dual = multiply_quats(torch.nn.functional.pad(transforms[..., 3], (1, 0)), quats)
    rigid = means_of(torch.cat([quats, twice_dual], 1)).unflatten(1, (2, 4))
    turn, shift = (rigid / torch.linalg.vector_norm(rigid[:, :1], dim=2, keepdim=True).clamp(min=1e-12)).unbind(1)
    dual = rotate_points(turn, points) + multiply_quats(shift, conjugate_quats(turn))[:, 1:]
    return torch.lerp(linear, dual, dqs_fraction[:, None] if isinstance(dqs_fraction, Tensor) else dqs_fraction)


def _check(moved: Skinnable | Tensor, influences: Influences, joints: Tensor, dqs_fraction: Fraction) -> None:
    points = moved if isinstance(moved, Tensor) else moved.points
    n = len(points)
    is_one_each = isinstance(dqs_fraction, Tensor)
    if not is_one_each and not 0 <= dqs_fraction <= 1:
        raise ValueError(f"skin: dqs_fraction: expected 0 to 1, got {dqs_fraction}")
    carried = [] if isinstance(moved, Tensor) else [("quats", moved.quats, (n, 4)), ("normals", moved.normals, (n, 3))]
    for name, tensor, shape in (
        ("points", points, (n, 3)),
        *carried,
        ("ids", influences.ids, (n, influences.ids.shape[-1])),
        ("weights", influences.weights, tuple(influences.ids.shape)),
        ("joints", joints, (len(joints), 16)),
        *([("dqs_fraction", dqs_fraction, (n,))] if is_one_each else []),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"skin: {name}: expected shape {shape}, got {tuple(tensor.shape)}")
        dtype = torch.int32 if name == "ids" else points.dtype
        if tensor.dtype != dtype:
            raise ValueError(f"skin: {name}: expected {dtype}, got {tensor.dtype}")


def _call(*inputs: Any) -> tuple[Tensor, ...]:
    *tensors, fraction = inputs
    tensors.append(fraction if isinstance(fraction, Tensor) else None)
    return torch.ops.avatar.skin(
        *(t if t is None else t.contiguous() for t in tensors), 0.0 if isinstance(fraction, Tensor) else fraction
    )


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _scene(*inputs: Any) -> _Scene:
    *tensors, dqs_fraction = inputs
    points, _, _, ids, _, joints, _ = tensors
    return _Scene(len(points), len(joints), ids.shape[1], *map(_address, tensors), dqs_fraction)


@torch.library.register_fake("avatar::skin")
def _outputs(points: Tensor, quats: Tensor | None, normals: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    del rest
    return tuple(points.new_empty(0 if t is None else t.shape) for t in (points, quats, normals))


@torch.library.impl("avatar::skin", "cpu")
def _forward(*inputs: Any) -> tuple[Tensor, ...]:
    outputs = _outputs(*inputs)
    if call("skin", inputs[0].dtype, _Arguments(_scene(*inputs), *map(_address, outputs))) != 0:
        ids, last = inputs[3], len(inputs[5]) - 1
        raise ValueError(f"skin: ids: expected joints 0 to {last}, got {int(ids.min())} to {int(ids.max())}")
    return outputs


@torch.library.register_fake("avatar::skin_backward")
def _gradients(*inputs: Any) -> tuple[Tensor, ...]:
    _, _, wants_weights, wants_joints, points, quats, _, _, weights, joints, fractions, _ = inputs
    wanted = (points, quats, joints if wants_joints else None, weights if wants_weights else None, fractions)
    return tuple(points.new_empty(0 if t is None else t.shape) for t in wanted)


@torch.library.impl("avatar::skin_backward", "cpu")
def _backward(*inputs: Any) -> tuple[Tensor, ...]:
    v_points, v_quats, wants_weights, wants_joints, *scene = inputs
    gradients = _gradients(*inputs)
    is_wanted = (True, scene[1] is not None, wants_joints, wants_weights, scene[6] is not None)
    places = [gradient if wanted else None for gradient, wanted in zip(gradients, is_wanted, strict=True)]
    addresses = map(_address, (v_points, v_quats, *places))
    call("skin_backward", scene[0].dtype, _GradientArguments(_scene(*scene), *addresses))
    return gradients


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs[:7])
    ctx.dqs_fraction = inputs[7]
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)


@once_differentiable
def _differentiate(ctx, *v_outputs: Tensor | None) -> tuple:
    v_posed = [v if v is None else v.contiguous() for v in v_outputs[:2]]
    v_points, v_quats, v_joints, v_weights, v_fractions = torch.ops.avatar.skin_backward(
        *v_posed, *ctx.needs_input_grad[4:6], *ctx.saved_tensors, ctx.dqs_fraction
    )
    wanted = (v_points, v_quats, None, None, v_weights, v_joints, v_fractions, None)
    return tuple(v if needed else None for v, needed in zip(wanted, ctx.needs_input_grad, strict=True))


torch.library.register_autograd("avatar::skin", _differentiate, setup_context=_setup_context)
