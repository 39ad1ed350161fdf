"""The Gaussian-mesh hybrid: Gaussians rooted on the triangles of the subject's template body.

Each Gaussian sits at a barycentric point of a triangle, moved by the template's learnt displacement (clothes, hair) and
by its own offset in the triangle's frame; its rotation too is relative to that frame. Compare SuGaR (Guédon and Lepetit
2024) and GaussianAvatars (Qian et al. 2024).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar.engine import SparseMap, on_frames
from avatar.geometry import (
    SH_C0,
    interpolate,
    matrices_from_quats,
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
    """

    num_gaussians: int = 27_000
    sh_degree: int = 0
    relative_size: float = 0.75
    relative_thickness: float = 0.25
    smallest_m: float = 5e-4

    def __post_init__(self) -> None:
        if self.num_gaussians < 1:
            raise ValueError(f"HybridConfig.num_gaussians: expected at least 1, got {self.num_gaussians}")
        if not 0 <= self.sh_degree <= 3:
            raise ValueError(f"HybridConfig.sh_degree: expected 0 to 3, got {self.sh_degree}")
        for name in ("relative_size", "relative_thickness", "smallest_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"HybridConfig.{name}: expected a positive number, got {getattr(self, name)}")


class Hybrid(nn.Module):
    """Owns the Gaussians' parameters; calling it gives them in the canonical pose, metres.

    Attributes:
        displacement: of the template's vertices, metres.
        offsets: from the surface point, in the triangle's frame (tangent, bitangent, normal), metres.
        quats: ``wxyz`` rotations in the triangle's frame, any length.
        log_scales, opacity_logits: stored forms of size and opacity.
        colors: sRGB of the constant harmonic; ``sh_rest`` the higher ones.
        triangles, barycentrics: where each is rooted.
    """

    triangles: Int[Tensor, " n"]
    barycentrics: Float[Tensor, "n 3"]
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
        self._from_vertices = SparseMap(corners, self.barycentrics, len(template.vertices))
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
        surface = self._from_vertices(self.displacement, base=self.roots)
        means, quats = on_frames(self._frame_quats, surface, self.offsets, self.quats)
        dc = ((self.colors - 0.5) / SH_C0)[:, None]
        return Gaussians(
            means=means,
            quats=quats,
            scales=self.log_scales.exp(),
            opacities=self.opacity_logits.sigmoid(),
            sh=torch.cat([dc, self.sh_rest], 1) if self.config.sh_degree else dc,
            binding=self.binding,
        )

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
    def surface_axes(self) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
        """Principal axes in the triangles' frames (columns), and standard deviations along them, metres."""
        return matrices_from_quats(normalize_quats(self.quats)), self.log_scales.exp()


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
