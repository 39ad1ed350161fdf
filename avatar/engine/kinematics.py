"""Forward kinematics, compiled; its plain-torch specification is ``avatar.geometry.forward_kinematics``."""

import ctypes
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import forward_kinematics as forward_kinematics_reference

from .library import call, integers, is_compiled, pointers

_INPUTS = "Tensor joints_rest, Tensor quats, Tensor roots, Tensor parents"
torch.library.define("avatar::kinematics", f"({_INPUTS}) -> Tensor")
torch.library.define(
    "avatar::kinematics_backward", f"(Tensor v_posed, Tensor posed, {_INPUTS}) -> (Tensor, Tensor, Tensor)"
)


def forward_kinematics(
    parents: tuple[int, ...],
    joints_rest: Float[Tensor, "j 3"],
    local_quats: Float[Tensor, "*b j 4"],
    root_position_world: Float[Tensor, "*b 3"],
) -> Float[Tensor, "*b j 4 4"]:
    """``posed_from_rest`` of every joint of one skeleton, world metres from rest metres.

    Args:
        parents: the parent of each joint, -1 for the root; compiled where parents come before their children.
        joints_rest: joint positions at rest, metres.
        local_quats: unit ``wxyz``.
        root_position_world: where the root joint stands, metres.

    Raises:
        ValueError: if ``parents`` is not a single tree or does not fit, or dtypes differ.
    """
    inputs = (joints_rest, local_quats, root_position_world)
    if any(t.dtype != joints_rest.dtype for t in inputs):
        raise ValueError(f"forward_kinematics: expected one dtype, got {[str(t.dtype) for t in inputs]}")
    in_order = len(parents) == len(joints_rest) == local_quats.shape[-2] and _comes_in_order(parents)
    if not in_order or not is_compiled() or joints_rest.device.type != "cpu":
        return forward_kinematics_reference(parents, *inputs)
    batch = local_quats.shape[:-2]
    roots = root_position_world.expand(*batch, 3).reshape(-1, 3)
    flat = (joints_rest, local_quats.reshape(-1, len(parents), 4), roots)
    posed = torch.ops.avatar.kinematics(*(t.contiguous() for t in flat), _as_tensor(parents))
    return posed.view(*batch, len(parents), 4, 4)


@lru_cache(maxsize=64)
def _comes_in_order(parents: tuple[int, ...]) -> bool:
    return parents[:1] == (-1,) and all(0 <= parent < joint for joint, parent in enumerate(parents[1:], start=1))


@lru_cache(maxsize=64)
def _as_tensor(parents: tuple[int, ...]) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(parents)


class _Scene(ctypes.Structure):
    _fields_ = [*integers("batch joints"), *pointers("parents joints_rest quats")]


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("roots posed")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("posed v_posed joints_rest quats roots")]


def _scene(joints_rest: Tensor, quats: Tensor, parents: Tensor) -> _Scene:
    return _Scene(*quats.shape[:2], *(t.data_ptr() for t in (parents, joints_rest, quats)))


@torch.library.impl("avatar::kinematics", "cpu")
def _forward(joints_rest: Tensor, quats: Tensor, roots: Tensor, parents: Tensor) -> Tensor:
    posed = quats.new_empty(*quats.shape[:2], 4, 4)
    arguments = _Arguments(_scene(joints_rest, quats, parents), roots.data_ptr(), posed.data_ptr())
    call("kinematics", quats.dtype, arguments)
    return posed


@torch.library.register_fake("avatar::kinematics")
def _forward_fake(joints_rest: Tensor, quats: Tensor, roots: Tensor, parents: Tensor) -> Tensor:
    del joints_rest, roots, parents
    return quats.new_empty(*quats.shape[:2], 4, 4)


@torch.library.impl("avatar::kinematics_backward", "cpu")
def _backward(
    v_posed: Tensor, posed: Tensor, joints_rest: Tensor, quats: Tensor, roots: Tensor, parents: Tensor
) -> tuple[Tensor, ...]:
    v_joints, v_quats, v_roots = quats.new_empty(*quats.shape[:2], 3), torch.empty_like(quats), torch.empty_like(roots)
    addresses = (t.data_ptr() for t in (posed, v_posed, v_joints, v_quats, v_roots))
    call("kinematics_backward", quats.dtype, _GradientArguments(_scene(joints_rest, quats, parents), *addresses))
    return v_joints.sum(0), v_quats, v_roots


@torch.library.register_fake("avatar::kinematics_backward")
def _backward_fake(
    v_posed: Tensor, posed: Tensor, joints_rest: Tensor, quats: Tensor, roots: Tensor, parents: Tensor
) -> tuple[Tensor, ...]:
    del v_posed, posed, parents
    return torch.empty_like(joints_rest), torch.empty_like(quats), torch.empty_like(roots)


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(output, *inputs)


@once_differentiable
def _differentiate(ctx, v_posed: Tensor) -> tuple:
    return *torch.ops.avatar.kinematics_backward(v_posed.contiguous(), *ctx.saved_tensors), None


torch.library.register_autograd("avatar::kinematics", _differentiate, setup_context=_setup_context)
