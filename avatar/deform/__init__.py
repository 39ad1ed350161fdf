"""A canonical scene and a body to a scene in the world: skinning, pose-dependent correction, light, refinement."""

from .codes import FieldCodes, FieldCodesConfig
from .control_graph import ControlGraph, ControlGraphConfig
from .correctives import Correctives, CorrectivesConfig
from .deformer import DeformConfig, Deformer
from .light_field import LightField, LightFieldConfig
from .normal_light import NormalLightConfig
from .refinement import RefineConfig, Refinement
from .skinning import Blended, DualQuaternion, LearnedMix, Linear, Skinning

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
    "LearnedMix",
    "LightField",
    "LightFieldConfig",
    "Linear",
    "NormalLightConfig",
    "RefineConfig",
    "Refinement",
    "Skinning",
]
