"""Light on Gaussians as a polynomial of their normals, fused, and its plain-torch specification."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from avatar.geometry import SH_C0, scale_colors

from .library import call, integers, is_compiled, pointers

_INPUTS = "Tensor sh, Tensor? added, Tensor normals, Tensor? coefficients"
torch.library.define("avatar::relight", f"({_INPUTS}) -> Tensor")
torch.library.define("avatar::relight_backward", f"(Tensor v_out, {_INPUTS}) -> (Tensor, Tensor, Tensor)")


def relight(
    sh: Float[Tensor, "n k 3"],
    added: Float[Tensor, "n 3"] | None,
    normals: Float[Tensor, "n 3"],
    coefficients: Float[Tensor, "8 3"] | None,
) -> Float[Tensor, "n k 3"]:
    """Harmonics of colour after adding to the colour and multiplying by ``1 + p(normal) . coefficients``.

    Colour is ``SH_C0 sh_0 + 0.5`` plus the rest; ``p`` are the harmonics of degree 1 and 2, unnormalised: ``x, y, z``,
    ``xy, yz, xz, 3 zz - 1, xx - yy`` (Ramamoorthi and Hanrahan 2001).

    Args:
        sh: of each Gaussian, the constant one first.
        added: sRGB, or None for nothing.
        normals: unit, in the frame in which the light stands; constant.
        coefficients: one column for each of red, green, blue, or None for no light.

    Differentiable with respect to all but ``normals``. Raises ValueError when shapes or dtypes do not fit.
    """
    n = len(sh)
    for name, tensor, shape in (
        ("sh", sh, (n, sh.shape[1], 3)),
        ("added", added, (n, 3)),
        ("normals", normals, (n, 3)),
        ("coefficients", coefficients, (8, 3)),
    ):
        if tensor is not None and (tuple(tensor.shape), tensor.dtype) != (shape, sh.dtype):
            found = f"{tuple(tensor.shape)}, {tensor.dtype}"
            raise ValueError(f"relight: {name}: expected {shape}, {sh.dtype}, got {found}")
    if not is_compiled() or sh.device.type != "cpu":
        return relight_reference(sh, added, normals, coefficients)
    inputs = (sh, added, normals.detach(), coefficients)
    return torch.ops.avatar.relight(*(None if t is None else t.contiguous() for t in inputs))


def relight_reference(
    sh: Float[Tensor, "n k 3"],
    added: Float[Tensor, "n 3"] | None,
    normals: Float[Tensor, "n 3"],
    coefficients: Float[Tensor, "8 3"] | None,
) -> Float[Tensor, "n k 3"]:
    """The same in plain torch, for any device."""
    if added is not None:
        sh = torch.cat([sh[:, :1] + added[:, None] / SH_C0, sh[:, 1:]], 1)
    if coefficients is None:
        return sh.clone() if added is None else sh
    x, y, z = normals.detach().unbind(-1)
    terms = torch.stack([x, y, z, x * y, y * z, x * z, 3 * z * z - 1, x * x - y * y], -1)
    return scale_colors(sh, 1 + terms @ coefficients)


class _Scene(ctypes.Structure):
    _fields_ = [*integers("count harmonics"), *pointers("sh added normals coefficients")]


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("out")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), *pointers("out sh added coefficients")]


def _scene(inputs: tuple[Tensor | None, ...]) -> _Scene:
    sh = inputs[0]
    assert sh is not None
    return _Scene(*sh.shape[:2], *(None if t is None else t.data_ptr() for t in inputs))


@torch.library.impl("avatar::relight", "cpu")
def _forward(*inputs: Tensor | None) -> Tensor:
    out = _forward_fake(*inputs)
    call("relight", out.dtype, _Arguments(_scene(inputs), out.data_ptr()))
    return out


@torch.library.register_fake("avatar::relight")
def _forward_fake(*inputs: Tensor | None) -> Tensor:
    sh = inputs[0]
    assert sh is not None
    return torch.empty_like(sh)


@torch.library.impl("avatar::relight_backward", "cpu")
def _backward(v_out: Tensor, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    gradients = _backward_fake(v_out, *inputs)
    addresses = (t.data_ptr() if t.numel() else None for t in gradients)
    call("relight_backward", v_out.dtype, _GradientArguments(_scene(inputs), v_out.data_ptr(), *addresses))
    return gradients


@torch.library.register_fake("avatar::relight_backward")
def _backward_fake(v_out: Tensor, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(v_out.new_empty(0) if t is None else torch.empty_like(t) for t in (inputs[0], inputs[1], inputs[3]))


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


@once_differentiable
def _differentiate(ctx, v_out: Tensor) -> tuple:
    inputs = ctx.saved_tensors
    v_sh, v_added, v_coefficients = torch.ops.avatar.relight_backward(v_out.contiguous(), *inputs)
    return v_sh, None if inputs[1] is None else v_added, None, None if inputs[3] is None else v_coefficients


torch.library.register_autograd("avatar::relight", _differentiate, setup_context=_setup_context)
