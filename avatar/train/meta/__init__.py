"""Meta-learning: from many tasks, such as the frames of dense captures, where to begin with a new one."""

from .fit import MetaConfig, MetaFit, MetaReport
from .learner import CONFIGURED, EFFECTIVE, InnerRates, Task, WarmUp
from .method import FirstOrderMaml, Method, Reptile
from .ranks import Ranks, joined_ranks

__all__ = [
    "CONFIGURED",
    "EFFECTIVE",
    "FirstOrderMaml",
    "InnerRates",
    "MetaConfig",
    "MetaFit",
    "MetaReport",
    "Method",
    "Ranks",
    "Reptile",
    "Task",
    "WarmUp",
    "joined_ranks",
]
