"""Parameters to a scene in the canonical pose: Gaussians bound to a body's triangles, or a radiance field."""

from .clothed_surface import ClothedSurfaceConfig, clothed_surface, membrane
from .field import CanonicalField, DensityHead, FieldConfig, SdfHead
from .field_shell import FieldShellConfig, field_shell
from .hybrid import Hybrid, HybridConfig

__all__ = [
    "CanonicalField",
    "ClothedSurfaceConfig",
    "DensityHead",
    "FieldConfig",
    "FieldShellConfig",
    "Hybrid",
    "HybridConfig",
    "SdfHead",
    "clothed_surface",
    "field_shell",
    "membrane",
]
