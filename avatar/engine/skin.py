"""Skinning of points with their rotations and normals, fused, and its plain-torch specification."""

import ctypes
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import (
    conjugate_quats,
    matrices_from_quats,
    multiply_quats,
    normalize_quats,
    rotate_points,
    sum_weighted_rows,
)

from .library import call, integers, is_compiled, numbers, pointers

_INPUTS = (
    "Tensor points, Tensor? quats, Tensor? normals, Tensor? linear, Tensor ids, Tensor weights, Tensor joints, "
    "Tensor? dqs_fractions, float dqs_fraction, int covariance"
)
torch.library.define("avatar::skin", f"({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::skin_backward",
    f"(Tensor? v_points, Tensor? v_quats, Tensor? v_linear, bool wants_weights, bool wants_joints, {_INPUTS}) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)


_TURNS_QUATS, _TURNS_LINEAR, _DERIVATIVE = range(3)


class _Scene(ctypes.Structure):
    _fields_ = [
        *integers("num_points num_joints num_influences"),
        *pointers("points quats normals linear ids weights joints dqs_fractions"),
        *numbers("dqs_fraction"),
        *integers("covariance"),
    ]


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("points quats normals linear")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [
        ("scene", _Scene),
        *pointers("out_points out_quats out_linear points quats linear joints weights dqs_fractions"),
    ]


class Skinnable(NamedTuple):
    """What skinning moves: points, rotations ``wxyz`` of any length, unit normals, and what maps the rotated axes.

    Without ``linear`` that is the identity.
    """

    points: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    normals: Float[Tensor, "n 3"]
    linear: Float[Tensor, "n 3 3"] | None = None


Fraction = float | Float[Tensor, " n"]
"""How far each point is on its way from linear (0) to dual-quaternion skinning (1): one for all, or one a point."""


class Influences(NamedTuple):
    """Which joints move each point, and how much; rows of ``weights`` sum to one, unused entries are zero."""

    ids: Int[Tensor, "n k"]
    weights: Float[Tensor, "n k"]


Covariance = Literal["rotation", "jacobian"]
"""What skinning does to the shape around a point: only turn it, or shear and stretch it too."""


def skin(
    rest: Skinnable,
    influences: Influences,
    joints: Float[Tensor, "j 16"],
    *,
    dqs_fraction: Fraction = 0.0,
    covariance: Covariance = "rotation",
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
        covariance: ``"rotation"`` turns ``quats``. ``"jacobian"`` leaves them, and puts the derivative of the points'
            motion before ``linear``: the mean of the matrices, the turn of the dual quaternions, or the mix of both;
            how weights and fractions change from place to place is neglected. Where there is a ``linear`` already,
            ``"rotation"`` puts the turn before it.

    Differentiable with respect to all but normals and ids. Raises ValueError when shapes, dtypes or the fraction do not
    fit.
    """
    _check(rest, influences, joints, dqs_fraction)
    if not is_compiled() or rest.points.device.type != "cpu":
        return skin_reference(rest, influences, joints, dqs_fraction=dqs_fraction, covariance=covariance)
    if covariance == "rotation" and rest.linear is None:
        points, quats, normals, _ = _call(*rest, *influences, joints, dqs_fraction, _TURNS_QUATS)
        return Skinnable(points, quats, normals)
    kind = _TURNS_LINEAR if covariance == "rotation" else _DERIVATIVE
    points, _, normals, linear = _call(*rest._replace(quats=None), *influences, joints, dqs_fraction, kind)
    return Skinnable(points, rest.quats, normals, linear)


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
    return _call(points, None, None, None, *influences, joints, dqs_fraction, _TURNS_QUATS)[0]


def skin_reference(
    rest: Skinnable,
    influences: Influences,
    joints: Float[Tensor, "j 16"],
    *,
    dqs_fraction: Fraction = 0.0,
    covariance: Covariance = "rotation",
) -> Skinnable:
    """``skin`` in plain torch, for any device."""
    mean = sum_weighted_rows(joints, influences.ids.long(), influences.weights)
    turn = normalize_quats(mean[:, 12:])
    points = skin_points_reference(rest.points, influences, joints, dqs_fraction=dqs_fraction)
    normals = rotate_points(turn.detach(), rest.normals.detach())
    if covariance == "rotation" and rest.linear is None:
        return Skinnable(points, multiply_quats(turn, rest.quats), normals)
    derivative = matrices_from_quats(turn)
    if covariance == "jacobian":
        fraction = dqs_fraction[:, None, None] if isinstance(dqs_fraction, Tensor) else dqs_fraction
        derivative = torch.lerp(mean[:, :12].unflatten(1, (3, 4))[..., :3], derivative, fraction)
    linear = derivative if rest.linear is None else derivative @ rest.linear
    return Skinnable(points, rest.quats, normals, linear)


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
    carried = () if isinstance(moved, Tensor) else (("quats", moved.quats, (n, 4)), ("normals", moved.normals, (n, 3)))
    linear = None if isinstance(moved, Tensor) else moved.linear
    for name, tensor, shape in (
        ("points", points, (n, 3)),
        *carried,
        *([] if linear is None else [("linear", linear, (n, 3, 3))]),
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
    *tensors, fraction, covariance = inputs
    fractions, fraction = (fraction, 0.0) if isinstance(fraction, Tensor) else (None, fraction)
    tensors = [t if t is None else t.contiguous() for t in (*tensors, fractions)]
    return torch.ops.avatar.skin(*tensors, fraction, covariance)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _scene(*inputs: Any) -> _Scene:
    *tensors, dqs_fraction, covariance = inputs
    points, _, _, _, ids, _, joints, _ = tensors
    return _Scene(len(points), len(joints), ids.shape[1], *map(_address, tensors), dqs_fraction, covariance)


@torch.library.register_fake("avatar::skin")
def _outputs(points: Tensor, quats: Tensor | None, normals: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    posed = [points.new_empty(0 if t is None else t.shape) for t in (points, quats, normals)]
    return *posed, points.new_empty((0,) if rest[-1] == _TURNS_QUATS else (len(points), 3, 3))


@torch.library.impl("avatar::skin", "cpu")
def _forward(*inputs: Any) -> tuple[Tensor, ...]:
    outputs = _outputs(*inputs)
    *addresses, linear = map(_address, outputs)
    places = (*addresses, None if inputs[-1] == _TURNS_QUATS else linear)
    if call("skin", inputs[0].dtype, _Arguments(_scene(*inputs), *places)) != 0:
        ids, last = inputs[4], len(inputs[6]) - 1
        raise ValueError(f"skin: ids: expected joints 0 to {last}, got {int(ids.min())} to {int(ids.max())}")
    return outputs


@torch.library.register_fake("avatar::skin_backward")
def _gradients(*inputs: Any) -> tuple[Tensor, ...]:
    wants_weights, wants_joints, points, quats, _, linear, _, weights, joints, fractions = inputs[3:13]
    wanted = (points, quats, linear, joints if wants_joints else None, weights if wants_weights else None, fractions)
    return tuple(points.new_empty(0 if t is None else t.shape) for t in wanted)


@torch.library.impl("avatar::skin_backward", "cpu")
def _backward(*inputs: Any) -> tuple[Tensor, ...]:
    *v_outputs, wants_weights, wants_joints = inputs[:5]
    scene = inputs[5:]
    gradients = _gradients(*inputs)
    _, has_quats, _, has_linear, *_, has_fractions = (t is not None for t in scene[:8])
    is_wanted = (True, has_quats, has_linear, wants_joints, wants_weights, has_fractions)
    places = [gradient if wanted else None for gradient, wanted in zip(gradients, is_wanted, strict=True)]
    addresses = map(_address, (*v_outputs, *places))
    call("skin_backward", scene[0].dtype, _GradientArguments(_scene(*scene), *addresses))
    return gradients


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs[:8])
    ctx.settings = inputs[8:]
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)


@once_differentiable
def _differentiate(ctx, *v_outputs: Tensor | None) -> tuple:
    v_posed = [v if v is None else v.contiguous() for v in (*v_outputs[:2], v_outputs[3])]
    v_points, v_quats, v_linear, v_joints, v_weights, v_fractions = torch.ops.avatar.skin_backward(
        *v_posed, *ctx.needs_input_grad[5:7], *ctx.saved_tensors, *ctx.settings
    )
    wanted = (v_points, v_quats, None, v_linear, None, v_weights, v_joints, v_fractions, None, None)
    return tuple(v if needed else None for v, needed in zip(wanted, ctx.needs_input_grad, strict=True))


torch.library.register_autograd("avatar::skin", _differentiate, setup_context=_setup_context)
