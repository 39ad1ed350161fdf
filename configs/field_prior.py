"""The prior of radiance fields: frames of dense captures, by Reptile."""

from typing import Literal

from avatar.train import FieldRates
from avatar.train.meta import (
    CONFIGURED,
    EFFECTIVE,
    FieldMetaConfig,
    FirstOrderMaml,
    InnerRates,
    MetaConfig,
    Method,
    Reptile,
)

MethodName = Literal["reptile", "maml"]
InnerRatesName = Literal["fit", "configured", "effective"]


def field_prior(
    method: MethodName = "reptile",
    inner_rates: InnerRatesName = "fit",
    inner_steps: int = 24,
    tasks_per_step: int = 1,
    seed: int = 0,
) -> FieldMetaConfig:
    """Ten minutes on two cores; the first outer steps take all of what a task says, the last a tenth."""
    meta = MetaConfig(
        method=_method(method, inner_steps), rates=_rates(inner_rates), tasks_per_step=tasks_per_step, seed=seed
    )
    return FieldMetaConfig(meta=meta)


def _method(name: MethodName, inner_steps: int) -> Method:
    match name:
        case "reptile":
            return Reptile(inner_steps=inner_steps)
        case "maml":
            return FirstOrderMaml(inner_steps=inner_steps)


def _rates(name: InnerRatesName) -> InnerRates:
    match name:
        case "fit":
            rates = FieldRates()
            return InnerRates(table=rates.table, nets=rates.nets, colors=rates.colors, sharpness=rates.sharpness)
        case "configured":
            return CONFIGURED
        case "effective":
            return EFFECTIVE
