"""The Gaussian-mesh hybrid: Gaussians rooted on the triangles of the subject's template body.

Each Gaussian sits at a barycentric point of a triangle, moved by the template's learnt displacement (clothes, hair) and
by its own offset in the triangle's frame; its rotation too is relative to that frame. Compare SuGaR (Guédon and Lepetit
2024) and GaussianAvatars (Qian et al. 2024).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar.engine import on_frames
from avatar.geometry import (
    SH_C0,
    WalkableSurface,
    interpolate,
    matrices_from_quats,
    multiply_quats,
    normalize_quats,
    quats_from_matrices,
    sample_surface,
    triangle_areas,
    triangle_frames,
)
from avatar.structs import Binding, Gaussians, Mesh, map_tensors

PER_GAUSSIAN = ("offsets", "quats", "log_scales", "opacity_logits", "colors", "sh_rest", "triangles", "barycentrics")
"""Names of the tensors with one row a Gaussian: what splitting and pruning change."""


@dataclass(frozen=True, kw_only=True)
class HybridConfig:
    """How the Gaussians start.

    Attributes:
        num_gaussians: one on every triangle, the rest spread by area; all by area if there are fewer than triangles.
        sh_degree: view dependence of colour, 0 to 3, in the template's frame.
        relative_size: standard deviation in the surface over the square root of a Gaussian's share of area.
        relative_thickness: standard deviation along the normal over that in the surface.
        smallest_m: no Gaussian starts smaller, metres.
        shape: an ellipsoid is free; a disc stays flat in its triangle and as thick, relatively, as it starts.
    """

    num_gaussians: int = 27_000
    sh_degree: int = 1
    relative_size: float = 0.75
    relative_thickness: float = 0.25
    smallest_m: float = 5e-4
    shape: Literal["ellipsoid", "disc"] = "ellipsoid"

    def __post_init__(self) -> None:
        if self.num_gaussians < 1:
            raise ValueError(f"HybridConfig.num_gaussians: expected at least 1, got {self.num_gaussians}")
        if not 0 <= self.sh_degree <= 3:
            raise ValueError(f"HybridConfig.sh_degree: expected 0 to 3, got {self.sh_degree}")
        for name in ("relative_size", "relative_thickness", "smallest_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"HybridConfig.{name}: expected a positive number, got {getattr(self, name)}")
        if self.shape == "disc" and self.relative_thickness < 1e-3:  # thinner ones would pass no gradient
            raise ValueError(f"HybridConfig.relative_thickness: expected 0.001 or more, got {self.relative_thickness}")


class Hybrid(nn.Module):
    """Owns the Gaussians' parameters; calling it gives them in the canonical pose, metres.

    Attributes:
        shell: the clothed surface that outlines showed, as a displacement of the template's vertices, metres; zero
            where it is unknown. No Gaussian depends on it.
        displacement: of the template's vertices, learnt, metres.
        offsets: from the surface point, in the triangle's frame (tangent, bitangent, normal), metres.
        quats: ``wxyz`` rotations in the triangle's frame, any length; of a disc's only the spin counts.
        log_scales, opacity_logits: stored forms of size and opacity; a disc's thickness follows its size.
        colors: sRGB of the constant harmonic; ``sh_rest`` the higher ones.
        triangles, barycentrics: where each is rooted.
    """

    triangles: Int[Tensor, " n"]
    barycentrics: Float[Tensor, "n 3"]
    shell: Float[Tensor, "v 3"]
    _triangle_frames: Float[Tensor, "t 3 3"]

    def __init__(self, template: Mesh, config: HybridConfig, seed: int = 0) -> None:
        super().__init__()
        self.template, self.config = template, config
        triangles, barycentrics, areas = _roots(template, config.num_gaussians, seed)
        n, harmonics = len(triangles), (config.sh_degree + 1) ** 2
        size = (config.relative_size * areas.sqrt()).clamp(min=config.smallest_m)
        sizes = torch.stack([size, size, size * config.relative_thickness], -1)
        self.displacement = nn.Parameter(torch.zeros_like(template.vertices))
        self.offsets = nn.Parameter(torch.zeros(n, 3))
        self.quats = nn.Parameter(torch.tensor([1.0, 0, 0, 0]).repeat(n, 1))
        self.log_scales = nn.Parameter(sizes.log())
        self.opacity_logits = nn.Parameter(torch.full((n,), 1.5))
        self.colors = nn.Parameter(torch.full((n, 3), 0.3))
        self.sh_rest = nn.Parameter(torch.zeros(n, harmonics - 1, 3))
        self.register_buffer("triangles", triangles)
        self.register_buffer("barycentrics", barycentrics)
        self.register_buffer("shell", torch.zeros_like(template.vertices))
        self.register_buffer("_triangle_frames", triangle_frames(template.vertices, template.faces), persistent=False)
        self.rebind()

    @property
    def num_gaussians(self) -> int:
        """How many there are now."""
        return len(self.triangles)

    def rebind(self) -> None:
        """Recompute what depends on ``triangles`` and ``barycentrics`` alone; call after changing them."""
        template, frames = self.template, self._triangle_frames[self.triangles]
        corners = template.faces[self.triangles]
        self.roots = interpolate(template.vertices, corners, self.barycentrics)
        self._frame_quats = quats_from_matrices(frames)
        self.binding = Binding(
            template=template, triangles=self.triangles, barycentrics=self.barycentrics, normals=frames[..., 2]
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Hybrid":
        """What ``to`` calls for every parameter: the template and what depends on it go along."""
        super()._apply(fn, recurse)
        self.template = map_tensors(self.template, fn)
        self.rebind()
        return self

    def forward(self) -> Gaussians:
        """The Gaussians in the canonical pose."""
        surface = self.binding.from_vertices(self.displacement, base=self.roots)
        turns, scales = self._shapes()
        means, quats = on_frames(self._frame_quats, surface, self.offsets, turns)
        dc = ((self.colors - 0.5) / SH_C0)[:, None]
        return Gaussians(
            means=means,
            quats=quats,
            scales=scales,
            opacities=self.opacity_logits.sigmoid(),
            sh=torch.cat([dc, self.sh_rest], 1) if self.config.sh_degree else dc,
            binding=self.binding,
        )

    def _shapes(self) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 3"]]:
        """Rotations in the triangles' frames, any length, and standard deviations, metres."""
        if self.config.shape == "ellipsoid":
            return self.quats, self.log_scales.exp()
        sizes = self.log_scales[:, :2].exp()
        thickness = self.config.relative_thickness * sizes.prod(1, keepdim=True).sqrt()
        return self.quats * self.quats.new_tensor([1.0, 0.0, 0.0, 1.0]), torch.cat([sizes, thickness], 1)

    @torch.no_grad()
    def replace_rows(self, rows: dict[str, Tensor]) -> None:
        """Set every tensor of ``PER_GAUSSIAN`` to new rows, whose number may differ; parameters become new objects.

        Raises ValueError for rows of another number, shape or dtype than the rest.
        """
        assert set(rows) == set(PER_GAUSSIAN)
        for name, value in rows.items():
            found, (size, dtype) = getattr(self, name), (value.shape, value.dtype)
            expected = (len(rows["triangles"]), *found.shape[1:])
            if size != expected or dtype != found.dtype:
                raise ValueError(f"{name}: expected {found.dtype} {expected}, got {dtype} {tuple(size)}")
        if not bool(((rows["triangles"] >= 0) & (rows["triangles"] < len(self.template.faces))).all()):
            raise ValueError(f"triangles: expected 0 to {len(self.template.faces) - 1}, got others")
        for name, value in rows.items():
            is_parameter = isinstance(getattr(self, name), nn.Parameter)
            setattr(self, name, nn.Parameter(value.contiguous()) if is_parameter else value.contiguous())
        self.rebind()

    @torch.no_grad()
    def walk(self) -> Float[Tensor, "n 4"]:
        """Move each root along the surface to where its Gaussian is: skinning and displacement are then of that place.

        Positions and orientations in the canonical pose stay, to rounding; discs turn into their new triangles. Where
        it would not halve what is left of the way, as high above a hollow, the root stays, or it would never rest.
        Gives the rotations (``wxyz``) that took ``offsets`` and ``quats`` from the old triangles' frames to the new
        ones': gradients turn likewise.
        """
        template, frames = self.template, self._triangle_frames
        steps = (frames[self.triangles] @ self.offsets[..., None])[..., 0]
        means = self.binding.from_vertices(self.displacement, base=self.roots) + steps
        there = WalkableSurface(template.vertices, template.faces).walk(self.triangles, self.barycentrics, steps)
        surface = interpolate(
            template.vertices + self.displacement, template.faces[there.triangles], there.barycentrics
        )
        offsets = (frames[there.triangles].mT @ (means - surface)[..., None])[..., 0]
        is_near = offsets[:, :2].norm(dim=1) < 0.5 * self.offsets[:, :2].norm(dim=1)
        turns = frames[there.triangles].mT @ frames[self.triangles]
        turns = quats_from_matrices(torch.where(is_near[:, None, None], turns, torch.eye(3).to(turns)))
        self.offsets.copy_(torch.where(is_near[:, None], offsets, self.offsets))
        self.quats.copy_(multiply_quats(turns, self.quats))
        self.triangles = torch.where(is_near, there.triangles, self.triangles)
        self.barycentrics = torch.where(is_near[:, None], there.barycentrics, self.barycentrics)
        self.rebind()
        return turns

    @torch.no_grad()
    def surface_axes(self) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
        """Principal axes in the triangles' frames (columns), and standard deviations along them, metres."""
        quats, scales = self._shapes()
        return matrices_from_quats(normalize_quats(quats)), scales


def _roots(template: Mesh, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle, barycentrics and share of area of ``count`` Gaussians."""
    areas = triangle_areas(template.vertices, template.faces)
    on_all = len(areas) <= count
    extra = count - len(areas) if on_all else count
    generator = torch.Generator().manual_seed(seed)
    triangles, barycentrics = sample_surface(template.vertices, template.faces, extra, generator)
    if on_all:
        triangles = torch.cat([torch.arange(len(areas)), triangles])
        barycentrics = torch.cat([torch.full((len(areas), 3), 1 / 3), barycentrics])
    sharing = torch.bincount(triangles, minlength=len(areas)).clamp(min=1)
    shares = areas / sharing if on_all else torch.full_like(areas, float(areas.sum()) / count)
    return triangles, barycentrics.to(template.vertices), shares[triangles]
