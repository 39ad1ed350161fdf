"""Priors of sine waves and parabolas."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from avatar.checkpoint import load_tensors, newest_checkpoint
from avatar.train import Limits, Schedule, read_events
from avatar.train.meta import FirstOrderMaml, InnerRates, MetaConfig, MetaFit, Reptile
from avatar.train.meta.learner import Learner
from avatar.train.meta.method import Outer

from .sines import Sine, meta_config, net, sines

CONSTANT = Schedule(knots=((0.0, 1.0),))


class Point(nn.Module):
    """A place on a line."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor([at], dtype=torch.float32))


@dataclass(frozen=True)
class Parabola:
    """Half the squared distance from a centre; held-out data knows another one."""

    centre: float
    other: float = math.nan
    name: str = "parabola"

    def look(self, module: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, float]:
        assert isinstance(module, Point)
        return 0.5 * (module.at - self.centre).square().sum(), 0.0

    def held_out(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        return Parabola(self.other).look(module, 0, generator)[0]


def adapted(at: float, centre: float, steps: int, rate: float) -> float:
    """Where torch's own Adam comes to from ``at``."""
    place = torch.tensor([at], requires_grad=True)
    adam = torch.optim.Adam([place], lr=rate, betas=(0.9, 0.99), eps=1e-15)
    for _ in range(steps):
        adam.zero_grad()
        (0.5 * (place - centre).square().sum()).backward()
        adam.step()
    return float(place.detach())


def learn(fit: MetaFit, steps: int | None = None) -> MetaFit:
    """Take so many steps, or all, and leave it there."""
    for report in fit:
        if report.step == steps:
            break
    return fit


def at(module: nn.Module) -> float:
    assert isinstance(module, Point)
    return module.at.item()


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_with_an_outer_rate_of_one_the_prior_is_what_the_task_made_of_it(tmp_path: Path) -> None:
    config = replace(meta_config("reptile"), method=Reptile(inner_steps=5, outer_rate=CONSTANT))
    fit = MetaFit(net(0), sines(3, 0), tmp_path, config, Limits(steps=1))
    learner = Learner(net(0), config.rates)
    learner.adapt(fit.task(0, 0), 5, 0, torch.Generator().manual_seed(0))
    assert torch.equal(weights(learn(fit).prior), weights(learner.module))


def test_with_an_outer_rate_of_zero_the_prior_stays() -> None:
    prior = net(0)
    before = weights(prior)
    Outer(prior, Reptile(), InnerRates()).step(torch.randn(len(before)), 0.0)
    assert torch.equal(weights(prior), before)


@pytest.mark.parametrize("eta", [1.0, 0.25])
def test_two_tasks_pull_as_their_mean(eta: float, tmp_path: Path) -> None:
    """From 1, with three steps of Adam each towards 0 and towards 5."""
    config = MetaConfig(
        method=Reptile(inner_steps=3, outer_rate=Schedule(knots=((0.0, eta),))),
        rates=InnerRates(nets=0.2),
        tasks_per_step=2,
    )
    fit = learn(MetaFit(Point(1.0), [Parabola(0.0), Parabola(5.0)], tmp_path, config, Limits(steps=1)))
    found = (adapted(1.0, 0.0, 3, 0.2) + adapted(1.0, 5.0, 3, 0.2)) / 2
    assert at(fit.prior) == pytest.approx(1.0 + eta * (found - 1.0), abs=1e-6)


def test_every_task_begins_with_a_fresh_adam() -> None:
    learner = Learner(Point(1.0), InnerRates(nets=0.2))
    generator = torch.Generator()
    for centre in (0.0, 5.0, 0.0):
        assert learner.adapt(Parabola(centre), 1, 0, generator) == (0.5 * (1.0 - centre) ** 2, 0.0)
        learner.adapt(Parabola(centre), 4, 0, generator)
        assert at(learner.module) == pytest.approx(adapted(1.0, centre, 4, 0.2), abs=1e-6)


def test_the_first_order_gradient_by_hand(tmp_path: Path) -> None:
    """After one step of Adam from 1 towards 0 the place is 0.8, from which held-out data pulls towards 2 with -1.2."""
    method, rates = FirstOrderMaml(inner_steps=1, outer_rate=CONSTANT), InnerRates(nets=0.2)
    prior, task, generator = Point(1.0), Parabola(0.0, other=2.0), torch.Generator()
    learner, outer = Learner(prior, rates), Outer(prior, method, rates)
    learner.adapt(task, 1, 0, generator)
    assert outer.outcome(learner, task, generator).tolist() == pytest.approx([0.8 - 2.0])
    config = MetaConfig(method=method, rates=rates)
    fit = learn(MetaFit(prior, [task], tmp_path, config, Limits(steps=1)))
    assert at(fit.prior) == pytest.approx(1.2), "the first step of Adam is as long as its rate"


def test_from_the_prior_new_tasks_take_fewer_steps(tmp_path: Path) -> None:
    """Over five seeds, and waves that it has not seen."""
    rates = InnerRates(nets=2e-2)
    method = Reptile(inner_steps=12, outer_rate=Schedule(knots=((0.0, 0.5), (1.0, 0.05))))

    def steps_to(module: nn.Module, error: float, tasks: list[Sine]) -> int:
        learner = Learner(module, rates)
        for steps in (4, 8, 16, 32, 64):
            errors = []
            for task in tasks:
                learner.adapt(task, steps, 0, torch.Generator().manual_seed(0))
                errors.append(task.error(learner.module))
            if sum(errors) / len(errors) < error:
                return steps
        return 128

    for seed in range(5):
        config = MetaConfig(method=method, rates=rates, seed=seed)
        fit = learn(MetaFit(net(seed), sines(200, seed), tmp_path / f"{seed}", config, Limits(steps=80)))
        learnt, random = (steps_to(module, 1.5, sines(8, 100 + seed)) for module in (fit.prior, net(seed)))
        assert 2 * learnt <= random, (seed, learnt, random)


def test_first_order_maml_finds_the_middle(tmp_path: Path) -> None:
    """Of tasks that all want another place."""
    tasks = [Parabola(centre, other=centre) for centre in (-1.0, 0.0, 1.0, 4.0)]
    method = FirstOrderMaml(inner_steps=2, outer_rate=Schedule(knots=((0.0, 1.0), (1.0, 0.01))))
    config = MetaConfig(method=method, rates=InnerRates(nets=0.2), tasks_per_step=4)
    fit = learn(MetaFit(Point(5.0), tasks, tmp_path, config, Limits(steps=200)))
    assert at(fit.prior) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("method", ["reptile", "maml"])
def test_killed_or_interrupted_it_ends_at_the_same_bits(method: str, tmp_path: Path) -> None:
    def start(run: str) -> MetaFit:
        return MetaFit(net(0), sines(5, 0), tmp_path / run, meta_config(method, 2), Limits(steps=12))

    expected = learn(start("whole"))
    learn(start("broken"), 4).save()
    assert learn(start("broken"), 7).step == 7
    for stop in (8, 11):
        learn(start("broken"), stop).save()
    resumed = learn(start("broken"))
    assert torch.equal(weights(resumed.prior), weights(expected.prior))
    files = [newest_checkpoint(tmp_path / run) for run in ("whole", "broken")]
    for name in ("prior.safetensors", "training.safetensors"):
        one, other = (load_tensors(folder / name) for folder in files)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert list(start("broken")) == [], "finished"


def test_reports_and_events(tmp_path: Path) -> None:
    fit = MetaFit(net(0), sines(5, 0), tmp_path, meta_config("reptile", 2), Limits(steps=20))
    reports = list(fit)
    assert [report.step for report in reports] == list(range(1, 21))
    assert [report.fraction for report in reports] == pytest.approx([step / 20 for step in range(1, 21)])
    assert sum(report.loss for report in reports[10:]) < sum(report.loss for report in reports[:10])
    rows = read_events(tmp_path / "events.jsonl")
    assert [row["num_tasks"] for row in rows] == list(range(2, 41, 2))
    assert [row["psnr"] for row in rows] == [report.psnr for report in reports]


def test_every_task_comes_once_an_epoch(tmp_path: Path) -> None:
    fit = MetaFit(net(0), sines(6, 0), tmp_path, meta_config("reptile", 2), Limits(steps=6))
    seen = [fit.task(step, index).name for step in range(6) for index in range(2)]
    assert len(set(seen[:6])) == len(set(seen[6:])) == 6
    assert seen[:6] != seen[6:]


@pytest.mark.parametrize("method", ["reptile", "maml"])
def test_a_gradient_that_is_no_number_names_its_task(method: str, tmp_path: Path) -> None:
    tasks = [Parabola(0.0, other=0.0), Parabola(math.nan, other=0.0, name="dancer, frame 7")]
    fit = MetaFit(Point(1.0), tasks, tmp_path, meta_config(method, 2), Limits(steps=3))
    with pytest.raises(ValueError, match=r"step 0: the gradient is no number in dancer, frame 7; lower the rates"):
        learn(fit)
    assert at(fit.prior) == 1.0


CHANGES: dict[str, Callable[[Path], MetaFit]] = {
    "recipe": lambda run: MetaFit(net(0), sines(3, 0), run, meta_config("maml"), Limits(steps=2)),
    "tasks": lambda run: MetaFit(net(0), sines(4, 0), run, meta_config("reptile"), Limits(steps=2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_prior_is_not_taken_up(change: str, tmp_path: Path) -> None:
    learn(MetaFit(net(0), sines(3, 0), tmp_path, meta_config("reptile"), Limits(steps=1)))
    with pytest.raises(ValueError, match=f"holds a fit with another {change}; give another --run"):
        CHANGES[change](tmp_path)


def test_damaged_progress_is_named(tmp_path: Path) -> None:
    learn(MetaFit(net(0), sines(3, 0), tmp_path, meta_config("reptile"), Limits(steps=1)))
    (newest_checkpoint(tmp_path) / "training.json").write_text("{")
    with pytest.raises(ValueError, match=r"training\.json: damaged"):
        MetaFit(net(0), sines(3, 0), tmp_path, meta_config("reptile"), Limits(steps=2))


def test_without_tasks_there_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no task to learn from"):
        MetaFit(net(0), [], tmp_path, meta_config("reptile"), Limits(steps=1))
