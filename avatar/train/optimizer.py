"""Adam over an avatar's named parameters, whose Gaussians may come and go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


def check_rates(rates: object) -> None:
    """ValueError where one of the numbers that a config of rates holds is negative."""
    for name, value in vars(rates).items():
        if isinstance(value, int | float) and not value >= 0:
            raise ValueError(f"{type(rates).__name__}.{name}: expected zero or more, got {value}")


@dataclass(frozen=True, kw_only=True)
class RefineRates:
    """Step size of each kind of correction of the capture; zero freezes it.

    Attributes:
        poses: radians, and metres for the root. joints: metres. cameras: radians and metres. exposure: of logarithmic
            gains and of biases.
    """

    poses: float = 1e-4
    joints: float = 1e-4
    cameras: float = 5e-5
    exposure: float = 5e-4

    def __post_init__(self) -> None:
        check_rates(self)


@dataclass(frozen=True, kw_only=True)
class LearningRates:
    """Step size of each kind of parameter at the start of a run.

    Attributes:
        offsets, displacement: metres. quats, log_scales, opacity_logits, colors, sh_rest: of the Gaussians.
        modes: of correctives and control graph. encoder, codes: of their coefficients. light: of its harmonics; its
            network learns as the encoder does.
        mix: of the logits of the LBS-DQS mix.
        refine: of the corrections of the capture.
    """

    offsets: float = 4e-4
    displacement: float = 4e-4
    quats: float = 4e-3
    log_scales: float = 8e-3
    opacity_logits: float = 0.03
    colors: float = 1e-2
    sh_rest: float = 2e-3
    modes: float = 8e-3
    encoder: float = 1e-3
    codes: float = 5e-3
    light: float = 3e-3
    mix: float = 2e-2
    refine: RefineRates = field(default_factory=RefineRates)

    def __post_init__(self) -> None:
        check_rates(self)

    def of(self, parameter: str) -> float:
        """The rate of a parameter by its name in the avatar, such as ``canonical.offsets``."""
        match parameter.split("."):
            case ["refinement", kind, _]:
                return getattr(self.refine, kind)
            case ["exposure", _]:
                return self.refine.exposure
            case [*_, "encoder" | "residual", _, _]:
                return self.encoder
            case [*_, "coefficients"]:
                return self.light
            case [*_, "mix_logits"]:
                return self.mix
            case names:
                return getattr(self, names[-1])


@runtime_checkable
class Rates(Protocol):
    """Step sizes by the name of a parameter in its avatar."""

    def of(self, parameter: str) -> float:
        """The rate of a parameter; zero freezes it."""
        ...


def has_finite_gradient(module: nn.Module) -> bool:
    """Whether all gradients are numbers. A loss may look healthy where what is no number is not drawn."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return bool(torch.nn.utils.get_total_norm(gradients).isfinite())


class Optimizer:
    """Fused Adam, parameters of one rate in a group; its state can be saved by name and follows splits and prunings."""

    def __init__(self, module: nn.Module, rates: Rates, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.module, self.rates, self.betas = module, rates, betas
        self._adam = self._new_adam()

    def _new_adam(self) -> torch.optim.Adam:
        self._names = {parameter: name for name, parameter in self.module.named_parameters() if self.rates.of(name) > 0}
        groups: dict[float, list[nn.Parameter]] = {}
        for parameter, name in self._names.items():
            groups.setdefault(self.rates.of(name), []).append(parameter)
        grouped = [{"params": parameters, "base": rate} for rate, parameters in groups.items()]
        return torch.optim.Adam(grouped, lr=0.0, betas=self.betas, eps=1e-15, fused=True)

    def step(self, factor: float) -> None:
        """One step with all rates times ``factor``, then clear the gradients."""
        for group in self._adam.param_groups:
            group["lr"] = group["base"] * factor
        self._adam.step()
        self.module.zero_grad(set_to_none=True)

    def reset(self) -> None:
        """Forget moments and step counts, in place."""
        for fields in self._adam.state.values():
            for value in fields.values():
                value.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts as ``parameter/field``."""
        return {
            f"{name}/{field}": value
            for parameter, name in self._names.items()
            for field, value in self._adam.state.get(parameter, {}).items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the parameters as they are now, with these moments."""
        self._adam = self._new_adam()
        for parameter, name in self._names.items():
            prefix = f"{name}/"
            device = parameter.device
            fields = {key[len(prefix) :]: value.to(device) for key, value in tensors.items() if key.startswith(prefix)}
            if fields:
                self._adam.state[parameter] = fields
