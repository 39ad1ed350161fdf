"""Fit one subject: schedules, optimizer, adaptive count, checkpoints, events."""

from .adapt import AdaptConfig
from .events import read_events
from .fit import Fit, FitConfig, Limits, StepReport
from .optimizer import LearningRates, RefineRates
from .schedule import Schedule
from .unseen import UnseenConfig

__all__ = [
    "AdaptConfig",
    "Fit",
    "FitConfig",
    "LearningRates",
    "Limits",
    "RefineRates",
    "Schedule",
    "StepReport",
    "UnseenConfig",
    "read_events",
]
