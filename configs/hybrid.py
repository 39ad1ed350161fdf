"""Gaussians bound to the triangles of the body: the first choice for any capture."""

from avatar.train import FitConfig


def hybrid(seed: int = 0) -> FitConfig:
    """Two minutes on two cores; the defaults of every part are tuned for it."""
    return FitConfig(seed=seed)
