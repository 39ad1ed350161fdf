"""Points and rotations that sit in fixed frames on a surface, fused, and the plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import multiply_quats, rotate_points

from .library import call, integers, is_compiled, pointers

torch.library.define(
    "avatar::on_frames", "(Tensor frames, Tensor origins, Tensor points, Tensor quats) -> (Tensor, Tensor)"
)
torch.library.define(
    "avatar::on_frames_backward", "(Tensor frames, Tensor v_points, Tensor v_quats) -> (Tensor, Tensor)"
)


def on_frames(
    frames: Float[Tensor, "n 4"],
    origins: Float[Tensor, "n 3"],
    points: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 4"]]:
    """Points and rotations of any length, given in frames on a surface, in the space of the surface.

    Args:
        frames: rotations of the frames, unit ``wxyz``; constant.
        origins: where the frames are, metres.
        points: in the frames, metres.
        quats: in the frames, ``wxyz`` of any length, which they keep.

    Differentiable with respect to all but ``frames``. Raises ValueError when shapes or dtypes do not fit.
    """
    inputs = {"frames": (frames, 4), "origins": (origins, 3), "points": (points, 3), "quats": (quats, 4)}
    for name, (tensor, size) in inputs.items():
        expected = ((len(frames), size), frames.dtype)
        if (tuple(tensor.shape), tensor.dtype) != expected:
            raise ValueError(f"on_frames: {name}: expected {expected}, got {tuple(tensor.shape)}, {tensor.dtype}")
    if not is_compiled() or frames.device.type != "cpu":
        return on_frames_reference(frames, origins, points, quats)
    return torch.ops.avatar.on_frames(*(t.contiguous() for t in (frames.detach(), origins, points, quats)))


def on_frames_reference(
    frames: Float[Tensor, "n 4"],
    origins: Float[Tensor, "n 3"],
    points: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 4"]]:
    """The same in plain torch, for any device."""
    frames = frames.detach()
    return origins + rotate_points(frames, points), multiply_quats(frames, quats)


class _Arguments(ctypes.Structure):
    _fields_ = [*integers("count"), *pointers("frames origins points quats out_points out_quats")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [*integers("count"), *pointers("frames out_points out_quats points quats")]


@torch.library.impl("avatar::on_frames", "cpu")
def _forward(frames: Tensor, origins: Tensor, points: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(points), torch.empty_like(quats)
    addresses = (t.data_ptr() for t in (frames, origins, points, quats, *out))
    call("on_frames", points.dtype, _Arguments(len(points), *addresses))
    return out


@torch.library.impl("avatar::on_frames_backward", "cpu")
def _backward(frames: Tensor, v_points: Tensor, v_quats: Tensor) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(v_points), torch.empty_like(v_quats)
    addresses = (t.data_ptr() for t in (frames, v_points, v_quats, *out))
    call("on_frames_backward", v_points.dtype, _GradientArguments(len(frames), *addresses))
    return out


@torch.library.register_fake("avatar::on_frames")
def _forward_fake(frames: Tensor, origins: Tensor, points: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
    del frames, origins
    return torch.empty_like(points), torch.empty_like(quats)


@torch.library.register_fake("avatar::on_frames_backward")
def _backward_fake(frames: Tensor, v_points: Tensor, v_quats: Tensor) -> tuple[Tensor, Tensor]:
    del frames
    return torch.empty_like(v_points), torch.empty_like(v_quats)


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    del output
    ctx.save_for_backward(inputs[0])


@once_differentiable
def _differentiate(ctx, v_points: Tensor, v_quats: Tensor) -> tuple:
    gradients = torch.ops.avatar.on_frames_backward(*ctx.saved_tensors, v_points.contiguous(), v_quats.contiguous())
    return None, v_points, *gradients


torch.library.register_autograd("avatar::on_frames", _differentiate, setup_context=_setup_context)
