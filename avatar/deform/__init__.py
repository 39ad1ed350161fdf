"""A canonical scene and a body to a scene in the world: skinning, pose-dependent correction, light, refinement."""

from .band import band_grid
from .codes import FieldCodes, FieldCodesConfig
from .control_graph import ControlGraph, ControlGraphConfig
from .correctives import Correctives, CorrectivesConfig
from .deformer import DeformConfig, Deformer
from .field_deformer import FieldDeformConfig, FieldDeformer
from .light_field import LightField, LightFieldConfig
from .normal_light import NormalLightConfig
from .refinement import RefineConfig, Refinement
from .skinning import Blended, DualQuaternion, LearnedMix, Linear, Skinning
from .warp import TriangleAffine, VertexBlend, Warp

__all__ = [
    "Blended",
    "ControlGraph",
    "ControlGraphConfig",
    "Correctives",
    "CorrectivesConfig",
    "DeformConfig",
    "Deformer",
    "DualQuaternion",
    "FieldCodes",
    "FieldCodesConfig",
    "FieldDeformConfig",
    "FieldDeformer",
    "LearnedMix",
    "LightField",
    "LightFieldConfig",
    "Linear",
    "NormalLightConfig",
    "RefineConfig",
    "Refinement",
    "Skinning",
    "TriangleAffine",
    "VertexBlend",
    "Warp",
    "band_grid",
]
