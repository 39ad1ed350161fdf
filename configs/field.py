"""A radiance field around the body: from a prior, one to four cameras of a single moment are enough."""

from dataclasses import replace

from avatar.train import FieldFitConfig, FieldRates

CAREFUL = FieldRates(table=3e-3, nets=1e-3, colors=2e-3, sharpness=2e-3)
"""Rates of a fit that begins with a prior: few pictures must not undo what many have taught."""


def field(seed: int = 0, has_prior: bool = False) -> FieldFitConfig:
    """Two minutes on two cores for a single moment."""
    config = FieldFitConfig(seed=seed)
    return replace(config, rates=CAREFUL) if has_prior else config
