"""The compiled Gaussian rasterizer as a torch operator with its gradient."""

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, integers, is_compiled, numbers, pointers
from .rasterize_reference import rasterize_reference
from .reused_memory import empty
from .views import RasterizeOptions, Renders, Splats, Views, check_inputs

_INPUTS = (
    "Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor colors, Tensor viewmats, Tensor intrinsics, "
    "Tensor? backgrounds, Tensor? means2d_offsets, Tensor? means2d_absgrad, Tensor? linear, int[] flags, float[] limits"
)
MAX_ENTRIES = 2**31 - 1  # in the tile lists of one camera: they are numbered by int32
torch.library.define("avatar::rasterize", f"({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)")
torch.library.define(
    "avatar::rasterize_backward",
    f"(Tensor v_colors, Tensor v_alphas, Tensor state, {_INPUTS}) -> ({', '.join(['Tensor'] * 9)})",
)


class _Scene(ctypes.Structure):
    _fields_ = [
        *integers("num_gaussians num_cameras num_channels"),
        *pointers("means quats scales opacities colors viewmats intrinsics backgrounds means2d_offsets linear"),
        *integers("height width sh_degree colors_per_camera with_depth antialiased"),
        *numbers("near_plane far_plane radius_clip eps2d"),
    ]


class _Output(ctypes.Structure):
    _fields_ = pointers("colors alphas radii")


class _Gradients(ctypes.Structure):
    _fields_ = pointers("colors alphas means quats scales opacities scene_colors viewmats means2d absgrad2d linear")


class _Arguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), ("out", _Output), *integers("keep max_entries")]


class _GradientArguments(ctypes.Structure):
    _fields_ = [("scene", _Scene), ("gradients", _Gradients), *integers("state_id")]


def rasterize(splats: Splats, views: Views, options: RasterizeOptions | None = None) -> Renders:
    """Render Gaussians into every view: gsplat 1.5.3's semantics, on the CPU, deterministic for any number of threads.

    Differentiable with respect to all of ``splats`` and all of ``views`` but the intrinsics. float32 and float64.
    Agrees with ``rasterize_reference`` but for pixels where rounding flips a threshold (opacity 1/255, transmittance
    1e-4). Gaussians with a number that is not finite are left out, and those without orientation.

    Raises:
        ValueError: shapes or dtypes do not fit, tensors are not on the CPU (``rasterize_reference`` takes those), or
            the Gaussians touch more tiles than can be numbered.
    """
    options = options or RasterizeOptions()
    check_inputs(splats, views, options)
    if splats.means.device.type != "cpu":
        raise ValueError(f"rasterize: expected CPU tensors, got {splats.means.device}; use rasterize_reference")
    if not is_compiled():
        return rasterize_reference(splats, views, options)
    tensors = [t.contiguous() for t in (*splats[:5], views.camera_from_world, views.intrinsics_px)]
    backgrounds = views.backgrounds
    if backgrounds is not None and options.depth != "none":
        backgrounds = torch.nn.functional.pad(backgrounds, (0, 1))
    on_image = (views.means2d_offsets_px, views.means2d_absgrad_px)
    optional = [None if t is None else t.contiguous() for t in (backgrounds, *on_image, splats.linear)]
    wants_gradient = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (*tensors, *optional))
    degree = -1 if splats.sh_degree is None else splats.sh_degree
    flags = [views.height, views.width, degree, options.depth != "none", options.antialiased, wants_gradient]
    limits = [options.near, options.far, options.radius_clip_px, options.blur_px2]
    run = _operator(wants_gradient)
    colors, alphas, radii, _ = run(*tensors, *optional, [int(flag) for flag in flags], limits)
    if options.depth == "expected":
        depth = colors[..., -1:] / alphas[..., None].clamp(min=1e-10)
        colors = torch.cat([colors[..., :-1], depth], -1)
    return Renders(colors, alphas, radii)


def _operator(wants_gradient: bool) -> Callable[..., tuple[Tensor, ...]]:
    """The dispatcher's, where it is compiled; elsewhere what stands behind it, which is a good deal quicker to call."""
    if torch.compiler.is_compiling():
        return torch.ops.avatar.rasterize
    return _Rasterize.apply if wants_gradient else _forward


def _scene(inputs: tuple) -> _Scene:
    tensors, (flags, limits) = (*inputs[:9], inputs[10]), inputs[11:]
    height, width, degree, with_depth, antialiased, _ = flags
    colors = inputs[4]
    pointers = [None if t is None else t.data_ptr() for t in tensors]
    per_camera = colors.ndim == (3 if degree < 0 else 4)
    sizes = [inputs[0].shape[0], inputs[5].shape[0], colors.shape[-1]]
    return _Scene(*sizes, *pointers, height, width, degree, per_camera, with_depth, antialiased, *limits)


def _empty_outputs(inputs: tuple) -> tuple[Tensor, Tensor, Tensor]:
    means, colors, viewmats, (height, width, _, with_depth, *_) = inputs[0], inputs[4], inputs[5], inputs[11]
    cameras = viewmats.shape[0]
    images = means.new_empty(cameras, height, width, colors.shape[-1] + with_depth)
    radii = means.new_empty(cameras, means.shape[0], 2, dtype=torch.int32)
    return images, means.new_empty(cameras, height, width), radii


def _forward(*inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    images, alphas, radii = _empty_outputs(inputs)
    out = _Output(images.data_ptr(), alphas.data_ptr(), radii.data_ptr())
    state = call("rasterize", images.dtype, _Arguments(_scene(inputs), out, inputs[11][5], MAX_ENTRIES))
    if state == 0:
        raise ValueError(
            f"rasterize: expected at most {MAX_ENTRIES} pairs of a Gaussian and a tile of 32 x 32 pixels, found more; "
            "render fewer or smaller Gaussians, or a smaller image"
        )
    return images, alphas, radii, torch.tensor(state, dtype=torch.int64)


torch.library.impl("avatar::rasterize", "cpu", _forward)


@torch.library.register_fake("avatar::rasterize")
def _forward_fake(*inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (*_empty_outputs(inputs), inputs[0].new_empty((), dtype=torch.int64))


def _backward(v_colors: Tensor, v_alphas: Tensor, state: Tensor, *inputs) -> tuple[Tensor, ...]:
    gradients = tuple(empty(tuple(t.shape), t.dtype) for t in _backward_fake(v_colors, v_alphas, state, *inputs))
    addresses = [t.data_ptr() if t.numel() else None for t in (v_colors, v_alphas, *gradients)]
    arguments = _GradientArguments(_scene(inputs), _Gradients(*addresses), int(state))
    while call("rasterize_backward", v_colors.dtype, arguments) != 0:  # its forward state was reused: render again
        arguments.state_id = int(_forward(*inputs[:11], [*inputs[11][:5], 1], inputs[12])[3])
    return gradients


torch.library.impl("avatar::rasterize_backward", "cpu", _backward)


@torch.library.register_fake("avatar::rasterize_backward")
def _backward_fake(v_colors: Tensor, v_alphas: Tensor, state: Tensor, *inputs) -> tuple[Tensor, ...]:
    del v_colors, v_alphas, state
    optional = (inputs[0].new_empty(0) if t is None else t for t in inputs[8:11])
    return tuple(torch.empty_like(t) for t in (*inputs[:6], *optional))


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(output[1], output[3], *inputs[:11])
    ctx.settings = inputs[11:]
    ctx.mark_non_differentiable(output[2], output[3])
    ctx.set_materialize_grads(False)


@once_differentiable
def _differentiate(
    ctx, operator: Callable[..., tuple[Tensor, ...]], v_colors: Tensor | None, v_alphas: Tensor | None
) -> tuple:
    alphas, state, *tensors = ctx.saved_tensors
    channels = tensors[4].shape[-1] + ctx.settings[0][3]
    v_colors = alphas.new_zeros(*alphas.shape, channels) if v_colors is None else v_colors.contiguous()
    v_alphas = torch.zeros_like(alphas) if v_alphas is None else v_alphas.contiguous()
    *gradients, v_offsets, v_absgrad, v_linear = operator(v_colors, v_alphas, state, *tensors, *ctx.settings)
    v_backgrounds = None
    if tensors[7] is not None and ctx.needs_input_grad[7]:
        v_backgrounds = ((1 - alphas)[..., None] * v_colors).sum((1, 2))
    found = zip(tensors[8:], (v_offsets, v_absgrad, v_linear), strict=True)
    return (*gradients, None, v_backgrounds, *(None if t is None else v for t, v in found), None, None)


class _Rasterize(torch.autograd.Function):
    """The operator and its gradient, without the dispatcher."""

    @staticmethod
    def forward(ctx, *inputs):
        output = _forward(*inputs)
        _setup_context(ctx, inputs, output)
        return output

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return _differentiate(ctx, _backward, *gradients[:2])


def _differentiate_operator(ctx, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    return _differentiate(ctx, torch.ops.avatar.rasterize_backward, *gradients[:2])


torch.library.register_autograd("avatar::rasterize", _differentiate_operator, setup_context=_setup_context)
