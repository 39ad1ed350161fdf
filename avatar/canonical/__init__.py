"""Parameters to a scene in the canonical pose. So far one kind: Gaussians bound to a body's triangles."""

from .clothed_surface import ClothedSurfaceConfig, clothed_surface, membrane
from .field_shell import FieldShellConfig, field_shell
from .hybrid import Hybrid, HybridConfig

__all__ = [
    "ClothedSurfaceConfig",
    "FieldShellConfig",
    "Hybrid",
    "HybridConfig",
    "clothed_surface",
    "field_shell",
    "membrane",
]
