"""Parameters to a scene in the canonical pose. So far one kind: Gaussians bound to a body's triangles."""

from .hybrid import Hybrid, HybridConfig

__all__ = ["Hybrid", "HybridConfig"]
