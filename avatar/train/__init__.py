"""Fit one subject: schedules, optimizer, adaptive count, checkpoints, events."""

from .adapt import AdaptConfig
from .events import read_events
from .field_fit import FieldFit, FieldFitConfig, FieldRates, TightenConfig
from .field_step import FieldStepConfig
from .from_field import hybrid_from_field
from .hybrid_fit import HybridFit, HybridFitConfig
from .optimizer import LearningRates, RefineRates
from .run import Limits, Run, StepReport
from .schedule import Schedule
from .unseen import UnseenConfig

__all__ = [
    "AdaptConfig",
    "FieldFit",
    "FieldFitConfig",
    "FieldRates",
    "FieldStepConfig",
    "HybridFit",
    "HybridFitConfig",
    "LearningRates",
    "Limits",
    "RefineRates",
    "Run",
    "Schedule",
    "StepReport",
    "TightenConfig",
    "UnseenConfig",
    "hybrid_from_field",
    "read_events",
]
