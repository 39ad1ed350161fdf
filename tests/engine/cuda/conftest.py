"""A stand-in for gsplat's compiled kernels, so that all of its Python and all of our adapter run without a GPU.

Projection and harmonics are gsplat's own torch functions, completed by what only its kernels do (bounds that know the
opacity, radius clip); sorting and blending are written from its kernels. What the kernels leave unwritten is NaN here,
so that nothing may read it.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch import Tensor

from avatar.engine.cuda import gsplat as adapter


def _in_torch() -> ModuleType:
    """gsplat's own specification of its kernels."""
    return import_module("gsplat.cuda._torch_impl")


def _differentiate(function, inputs: tuple[Tensor, ...], v_outputs: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """Gradients of ``inputs`` through ``function``; outputs without a gradient do not count."""
    leaves = [t.detach().requires_grad_() for t in inputs]
    with torch.enable_grad():
        pairs = [(out, v) for out, v in zip(function(*leaves), v_outputs, strict=True) if v is not None]
    outputs, v_outputs = zip(*pairs, strict=True)
    return torch.autograd.grad(outputs, leaves, v_outputs, allow_unused=True, materialize_grads=True)


class GsplatKernels:
    """The functions of ``gsplat.cuda._backend._C`` that the adapter reaches, in plain torch, with their arguments."""

    PINHOLE = CameraModelType = object()

    def projection_ewa_3dgs_fused_fwd(self, means, covars, quats, scales, opacities, *cameras) -> tuple:
        """Radii, centres, depths, conics and compensations."""
        viewmats, ks, width, height, eps2d, near, far, radius_clip, wants_compensations, model = cameras
        assert model is self.PINHOLE
        shapes = (quats, scales) if covars is None else (covars,)
        means2d, depths, conics, compensations = self._project(means, viewmats, ks, width, height, eps2d, *shapes)
        a, b, c = conics.unbind(-1)
        deviations = (torch.stack([c, a], -1) / (a * c - b * b)[..., None]).sqrt()
        visible = opacities * compensations if wants_compensations else opacities.expand(depths.shape)
        extent = (2 * (visible * 255).log()).sqrt().clamp(max=3.33)
        radii = (extent[..., None] * deviations).ceil()
        inside = (means2d + radii > 0) & (means2d - radii < torch.tensor([width, height]))
        is_drawn = (depths >= near) & (depths <= far) & (visible >= 1 / 255) & inside.all(-1)
        is_drawn &= (radii > radius_clip).any(-1)
        radii = torch.where(is_drawn[..., None], radii.clamp(max=2**31 - 128), 0).to(torch.int32)
        for unwritten in (means2d, depths, conics):
            unwritten[~is_drawn] = torch.nan
        return radii, means2d, depths, conics, torch.where(is_drawn, compensations, 0) if wants_compensations else None

    def projection_ewa_3dgs_fused_bwd(self, means, covars, quats, scales, viewmats, *rest) -> tuple:
        """Gradients of means, covariances, quaternions, scales and cameras."""
        *settings, model, radii, _conics, _compensations, v_means2d, v_depths, v_conics, v_compensations, _ = rest
        assert model is self.PINHOLE
        is_drawn = (radii > 0).all(-1)

        def project_drawn(means: Tensor, viewmats: Tensor, *shapes: Tensor) -> list[Tensor]:
            return [t[is_drawn] for t in self._project(means, viewmats, *settings, *shapes)]

        v_outputs = (None if v is None else v[is_drawn] for v in (v_means2d, v_depths, v_conics, v_compensations))
        shapes = (quats, scales) if covars is None else (covars,)
        gradients = _differentiate(project_drawn, (means, viewmats, *shapes), tuple(v_outputs))
        v_means, v_viewmats, *v_shapes = (t.nan_to_num() for t in gradients)
        v_shapes = (None, *v_shapes) if covars is None else (*v_shapes, None, None)
        return v_means, *v_shapes, v_viewmats

    @staticmethod
    def _project(means, viewmats, ks, width, height, eps2d, *shapes: Tensor) -> tuple[Tensor, ...]:
        if shapes[1:]:
            covars, _ = _in_torch()._quat_scale_to_covar_preci(*shapes, compute_preci=False)
        else:
            covars = shapes[0][:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].view(-1, 3, 3)
        settings = (ks, width, height, eps2d)
        return _in_torch()._fully_fused_projection(means, covars, viewmats, *settings, calc_compensations=True)[1:]

    def spherical_harmonics_fwd(self, degree, dirs, coeffs, masks) -> Tensor:
        """Colours where ``masks``."""
        return _in_torch()._spherical_harmonics(degree, dirs, coeffs).masked_fill(~masks[..., None], torch.nan)

    def spherical_harmonics_bwd(self, num_bases, degree, dirs, coeffs, masks, v_colors, wants_dirs) -> tuple:
        """Gradients of coefficients and directions."""

        def evaluate(coeffs: Tensor, dirs: Tensor) -> tuple[Tensor]:
            return (_in_torch()._spherical_harmonics(degree, dirs, coeffs),)

        assert num_bases == coeffs.shape[-2]
        v_coeffs, v_dirs = _differentiate(evaluate, (coeffs, dirs), (v_colors.masked_fill(~masks[..., None], 0),))
        return v_coeffs, v_dirs if wants_dirs else None

    def intersect_tile(self, means2d, radii, depths, *rest) -> tuple[Tensor, Tensor, Tensor]:
        """Tiles a Gaussian, sorted keys, Gaussians in that order."""
        image_ids, gaussian_ids, images, tile_px, columns, rows, sort, segmented = rest
        assert (image_ids, gaussian_ids, images, sort, segmented) == (None, None, len(means2d), True, False)
        low = ((means2d - radii) / tile_px).floor().view(-1, 1, 2)
        high = ((means2d + radii) / tile_px).ceil().view(-1, 1, 2)
        tiles = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).flip(-1)
        touches = ((tiles >= low) & (tiles < high)).all(-1) & (radii > 0).all(-1).view(-1, 1)
        ids, tile_ids = touches.nonzero().unbind(-1)
        depth_bits = depths.view(-1)[ids].float().view(torch.int32).long()
        image_bits = (ids // depths.shape[-1]) << (rows * columns).bit_length()
        keys, order = ((image_bits | tile_ids) << 32 | depth_bits).sort(stable=True)
        return touches.sum(1).view(depths.shape), keys, ids[order].to(torch.int32)

    def intersect_offset(self, keys, images, columns, rows) -> Tensor:
        """Where each tile's Gaussians begin."""
        return _in_torch()._isect_offset_encode(keys, images, columns, rows)

    def rasterize_to_pixels_3dgs_fwd(self, *inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Images, coverage, and the last Gaussian of each pixel, which nobody here needs."""
        images, alphas = self._blend(inputs[:4], *inputs[4:])
        return images, alphas, torch.zeros_like(alphas, dtype=torch.int32)

    def rasterize_to_pixels_3dgs_bwd(self, *inputs) -> tuple:
        """Gradients of absolute and of signed centres, conics, colours and opacities."""
        gaussians, (*settings, _alphas, _last, v_images, v_alphas, wants_absolute) = inputs[:4], inputs[4:]
        leaves = (*gaussians, torch.zeros_like(gaussians[0]))
        *signed, absolute = _differentiate(lambda *leaves: self._blend(leaves, *settings), leaves, (v_images, v_alphas))
        return absolute if wants_absolute else None, *signed

    @staticmethod
    def _blend(gaussians, backgrounds, masks, *settings) -> tuple[Tensor, Tensor]:
        """Every tile's list front to back, as in ``RasterizeToPixels3DGSFwd.cu``."""
        width, height, tile_px, starts, ids = settings
        assert masks is None
        flat = [t.flatten(0, 1) for t in gaussians]
        bounds = [*starts.flatten().tolist(), len(ids)]
        images = flat[2].new_zeros(len(starts), height, width, flat[2].shape[1] + 1)
        for place, (first, last) in enumerate(pairwise(bounds)):
            tile = place % starts[0].numel()
            top, left = tile // starts.shape[2] * tile_px, tile % starts.shape[2] * tile_px
            rows, columns = slice(top, min(height, top + tile_px)), slice(left, min(width, left + tile_px))
            pixels = torch.cartesian_prod(torch.arange(height)[rows] + 0.5, torch.arange(width)[columns] + 0.5).flip(-1)
            block = _blend_pixels(pixels, *(t[ids[first:last].long()] for t in flat))
            images[place // starts[0].numel(), rows, columns] = block.view(rows.stop - top, columns.stop - left, -1)
        colors, alphas = images[..., :-1], images[..., -1:]
        return colors if backgrounds is None else colors + (1 - alphas) * backgrounds[:, None, None], alphas


class _Unsigned(torch.autograd.Function):
    """A copy for every pixel; the gradient is the sum of the pixels' absolute values."""

    @staticmethod
    def forward(ctx, values: Tensor, pixels: int) -> Tensor:
        return values.expand(pixels, *values.shape).clone()

    @staticmethod
    def backward(ctx, *v_copies: Tensor) -> tuple[Tensor, None]:
        return v_copies[0].abs().sum(0), None


def _blend_pixels(
    pixels: Tensor, means: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, unsigned: Tensor | None = None
) -> Tensor:
    """Colour, then coverage, of some pixels from Gaussians that are in order; ``unsigned`` are zeros on the means."""
    offsets = means - pixels[:, None]
    dx, dy = (offsets if unsigned is None else offsets + _Unsigned.apply(unsigned, len(pixels))).unbind(-1)
    a, b, c = conics.unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacities * torch.exp(-sigma)).clamp(max=0.999)
    alpha = alpha * ((sigma >= 0) & (alpha >= 1 / 255))
    alpha = alpha * ((1 - alpha).cumprod(1) > 1e-4)
    through = torch.nn.functional.pad((1 - alpha).cumprod(1), (1, 0), value=1.0)
    return torch.cat([(alpha * through[:, :-1]) @ colors, 1 - through[:, -1:]], 1)


@pytest.fixture
def gsplat_on_cpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """gsplat itself with its kernels replaced; the adapter takes it, and tensors of any device and dtype."""
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed: pip install --no-deps gsplat==1.5.3")
    if version("gsplat") != "1.5.3":
        pytest.skip(f"gsplat 1.5.3 is the one whose meaning we keep; {version('gsplat')} is installed")
    backend = ModuleType("gsplat.cuda._backend")
    vars(backend)["_C"] = GsplatKernels()
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", backend)
    monkeypatch.setattr(adapter, "extra", lambda name: {"gsplat": gsplat}[name])
    monkeypatch.setattr(adapter, "_check_tensors", lambda _: None)
    return gsplat
