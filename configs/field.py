"""A radiance field around the body: from a prior, one to four cameras of a single moment are enough."""

from dataclasses import replace

from avatar.train import FieldFitConfig

ENOUGH_CAMERAS = 4  # to step from a prior as boldly as from scratch


def field(seed: int = 0, prior_cameras: int | None = None) -> FieldFitConfig:
    """Two minutes on two cores for a single moment.

    With a prior the fewer ``prior_cameras`` there are the smaller are the steps: they must not undo what many taught.
    """
    config = FieldFitConfig(seed=seed)
    if prior_cameras is None:
        return config
    care = min(1.0, (0.1 + 0.9 * prior_cameras / ENOUGH_CAMERAS))
    return replace(config, rates=config.rates.scaled(care))
