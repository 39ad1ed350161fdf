"""Gaussians bound to the triangles of the body: the first choice for any capture."""

from avatar.deform import RefineConfig
from avatar.model import HybridAvatarConfig
from avatar.train import HybridFitConfig


def hybrid(seed: int = 0, refine: bool = False) -> HybridFitConfig:
    """Two minutes on two cores; the defaults of every part are tuned for it.

    ``refine`` also learns small corrections of cameras and exposure: filmed captures gain by it, rendered ones do not.
    """
    return HybridFitConfig(seed=seed, avatar=HybridAvatarConfig(refine=RefineConfig(cameras=refine, exposure=refine)))
