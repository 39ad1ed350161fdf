"""From landmarks and masks to one person and its poses."""

from .fit import BodyFitConfig, fit_body

__all__ = ["BodyFitConfig", "fit_body"]
