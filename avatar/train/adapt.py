"""Gaussians come, go and walk: split where the image error pulls hardest, dropped where nobody sees them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.canonical import Hybrid
from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.geometry import matrices_from_quats, multiply_quats

from .optimizer import Optimizer


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """When and how the number of Gaussians changes, and how often their roots follow them over the surface.

    Attributes:
        start, stop: fractions of the run between which the number does.
        rounds: how often.
        grow: fraction of the Gaussians split in a round.
        max_gaussians: never more than this.
        min_opacity: fainter ones are dropped.
        walk_every: steps from one walk of the roots to the next, rounds apart; 0 for never: walks were seen to help
            short runs by 0.1 dB and to cost long ones as much.
    """

    start: float = 0.08
    stop: float = 0.6
    rounds: int = 5
    grow: float = 0.08
    max_gaussians: int = 36_000
    min_opacity: float = 0.02
    walk_every: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= 1:
            raise ValueError(f"AdaptConfig: expected 0 <= start <= stop <= 1, got {self.start} and {self.stop}")
        if not 0 <= self.grow <= 1:
            raise ValueError(f"AdaptConfig.grow: expected 0 to 1, got {self.grow}")
        for name in ("rounds", "max_gaussians", "min_opacity", "walk_every"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"AdaptConfig.{name}: expected zero or more, got {getattr(self, name)}")

    def rounds_due(self, fraction: float) -> int:
        """How many rounds should have happened by ``fraction`` of the run."""
        if self.rounds == 0 or fraction < self.start:
            return 0
        width = (self.stop - self.start) / self.rounds
        return self.rounds if width == 0 else min(self.rounds, 1 + int((fraction - self.start) / width))

    def walks_at(self, step: int) -> bool:
        """Whether the roots walk before this step, counted from 0."""
        return self.walk_every > 0 and step > 0 and step % self.walk_every == 0


class Demand:
    """How hard the image pulls each Gaussian: summed lengths of its image gradient (Kerbl et al. 2023, section 5)."""

    def __init__(self, num_gaussians: int, device: torch.device | str = "cpu") -> None:
        self.pull = torch.zeros(num_gaussians, device=device)

    def add(self, v_means2d: Float[Tensor, "n 2"], size_px: int) -> None:
        """One view's gradient; ``size_px`` makes crops of different size comparable."""
        self.pull += torch.linalg.vector_norm(v_means2d, dim=1) * size_px


@torch.no_grad()
def adapt(canonical: Hybrid, optimizer: Optimizer, demand: Demand, config: AdaptConfig, seed: int) -> None:
    """One round. Split ones move apart along their axes and shrink; both halves take their parent's moments.

    Where roots walk at all, the halves get roots of their own at once.
    """
    visible = canonical.opacity_logits.sigmoid() >= config.min_opacity
    room = config.max_gaussians - int(visible.sum())
    count = max(0, min(int(config.grow * canonical.num_gaussians), room))
    pull = torch.where(visible, demand.pull, -1.0)
    split = pull.topk(count).indices
    split = split[pull[split] > 0]
    rows = {name: getattr(canonical, name).detach() for name in PER_GAUSSIAN}
    axes, sizes = canonical.surface_axes()
    draws = torch.randn(len(split), 3, generator=torch.Generator().manual_seed(seed)).to(sizes)
    jitter = 0.7 * (axes[split] @ (draws * sizes[split])[..., None])[..., 0]
    kept = visible.nonzero()[:, 0]
    is_split = torch.zeros_like(visible)
    is_split[split] = True
    moved = rows["offsets"].clone()
    moved[split] -= jitter
    shrunk = torch.where(is_split[:, None], rows["log_scales"] - math.log(1.5), rows["log_scales"])
    source = torch.cat([kept, split])
    new = {name: value[source] for name, value in rows.items()}
    new["offsets"] = torch.cat([moved[kept], rows["offsets"][split] + jitter])
    new["log_scales"] = shrunk[source]
    moments = optimizer.tensors()
    for key, value in moments.items():
        name, field = key.split("/")
        if name.removeprefix("canonical.") in PER_GAUSSIAN and field != "step":
            moments[key] = value[source]
    canonical.replace_rows(new)
    optimizer.load(moments)
    if config.walk_every:
        walk(canonical, optimizer)


@torch.no_grad()
def walk(canonical: Hybrid, optimizer: Optimizer) -> None:
    """Roots move to where their Gaussians are, and Adam's moments turn into the new triangles' frames.

    Of the second moments the diagonal turns, as if components were uncorrelated.
    """
    turns = canonical.walk()
    products = multiply_quats(turns[:, None], torch.eye(4).to(turns)).mT
    moments = optimizer.tensors()
    for name, maps in (("offsets", matrices_from_quats(turns)), ("quats", products)):
        for field, matrices in (("exp_avg", maps), ("exp_avg_sq", maps.square())):
            moment = moments.get(f"canonical.{name}/{field}")
            if moment is not None:
                moment.copy_((matrices @ moment[..., None])[..., 0])
