"""Sine waves to learn: ``python sines.py RUN STEPS`` learns priors for them, by itself or under ``torchrun``.

It takes up what is there, and says "ready" before the first step.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from avatar.train import Limits
from avatar.train.meta import FirstOrderMaml, InnerRates, MetaConfig, MetaFit, Ranks, Reptile, joined_ranks


@dataclass(frozen=True)
class Sine:
    """A wave of this amplitude and phase, known at ten places."""

    amplitude: float
    phase: float

    @property
    def name(self) -> str:
        return f"sine of {self.amplitude:.2f} at {self.phase:.2f}"

    def __call__(self, x: Tensor) -> Tensor:
        return self.amplitude * torch.sin(x + self.phase)

    def look(self, module: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, float]:
        x = torch.rand(10, 1, generator=generator) * 10 - 5
        loss = (module(x) - self(x)).square().mean()
        return loss, -10 * math.log10(float(loss.detach()))

    def held_out(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        return self.look(module, 0, generator)[0]

    def error(self, module: nn.Module) -> float:
        """Over all places."""
        x = torch.linspace(-5, 5, 100)[:, None]
        return float((module(x) - self(x)).detach().square().mean())


def sines(count: int, seed: int) -> list[Sine]:
    """Amplitudes from 0.1 to 5, phases from 0 to pi (Finn et al. 2017, section 5.1)."""
    draws = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return [Sine(0.1 + 4.9 * float(amplitude), math.pi * float(phase)) for amplitude, phase in draws]


def net(seed: int, width: int = 32) -> nn.Module:
    """From one number to one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))


def meta_config(method: str, tasks_per_step: int = 1) -> MetaConfig:
    """Rates that suit sine waves."""
    kind = {"reptile": Reptile, "maml": FirstOrderMaml}[method]
    return MetaConfig(
        method=kind(inner_steps=8), rates=InnerRates(nets=1e-2), tasks_per_step=tasks_per_step, checkpoint_seconds=0.03
    )


def learn(run: Path, steps: int, ranks: Ranks) -> None:
    """A prior by each method, from three tasks a step: with two ranks one has no new one in every second round."""
    for method in ("reptile", "maml"):
        fit = MetaFit(net(0), sines(12, 1), run / method, meta_config(method, 3), Limits(steps=steps), ranks=ranks)
        for _ in fit:
            pass


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined_ranks() as ranks:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        learn(Path(sys.argv[1]), int(sys.argv[2]), ranks)
