"""Meta-learning: from many tasks, such as the frames of dense captures, where to begin with a new one."""

from .field import FieldMetaConfig, FieldMetaFit
from .fit import MetaConfig, MetaFit
from .learner import CONFIGURED, EFFECTIVE, InnerRates, Task, WarmUp
from .method import FirstOrderMaml, Method, Reptile
from .ranks import ALONE, Ranks, joined_ranks

__all__ = [
    "ALONE",
    "CONFIGURED",
    "EFFECTIVE",
    "FieldMetaConfig",
    "FieldMetaFit",
    "FirstOrderMaml",
    "InnerRates",
    "MetaConfig",
    "MetaFit",
    "Method",
    "Ranks",
    "Reptile",
    "Task",
    "WarmUp",
    "joined_ranks",
]
