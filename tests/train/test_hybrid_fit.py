"""Fits of a corner of the sample: they learn, they repeat bit for bit, and they resume as if nothing had happened."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avatar.checkpoint import load_hybrid, newest_checkpoint
from avatar.losses import SurfaceConfig
from avatar.structs import Capture, Split
from avatar.train import HybridFit, HybridFitConfig, Limits, RefineRates, StepReport, read_events

Start = Callable[..., HybridFit]


def state(fit: HybridFit) -> dict[str, Tensor]:
    """All that a fit knows, copied."""
    counts = {"step": fit.step, "rounds": fit.rounds, "completions": fit.completions}
    numbers = {name: torch.tensor(count) for name, count in counts.items()}
    known = fit.avatar.state_dict() | fit.optimizer.tensors() | {"demand": fit.demand.pull} | numbers
    return {name: tensor.detach().clone() for name, tensor in known.items()}


def assert_identical(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    assert not differing


def run_to(fit: HybridFit, step: int) -> HybridFit:
    """Take steps until ``step``, then leave the fit where it is."""
    for report in fit:
        if report.step == step:
            break
    return fit


@pytest.fixture(scope="module")
def whole(sample: Capture, corner: Split, recipe: HybridFitConfig, tmp_path_factory: pytest.TempPathFactory) -> "Whole":
    """A fit of thirty steps that nobody interrupts."""
    run = tmp_path_factory.mktemp("whole")
    fit = HybridFit(sample, corner, run, recipe, Limits(steps=30))
    return Whole(fit, list(fit))


class Whole:
    """A finished fit and what it reported."""

    def __init__(self, fit: HybridFit, reports: list[StepReport]) -> None:
        self.fit, self.reports, self.state = fit, reports, state(fit)


def test_it_learns(whole: Whole) -> None:
    losses = [report.loss for report in whole.reports]
    assert sum(losses[-6:]) < 0.85 * sum(losses[:6])
    assert sum(report.psnr for report in whole.reports[-6:]) / 6 > 17


def test_reports_count(whole: Whole) -> None:
    assert [report.step for report in whole.reports] == list(range(1, 31))
    assert [report.fraction for report in whole.reports] == pytest.approx([step / 30 for step in range(1, 31)])
    assert all(a.seconds < b.seconds for a, b in zip(whole.reports, whole.reports[1:], strict=False))
    counts = [report.facts["num_gaussians"] for report in whole.reports]
    assert (counts[0], counts[5], counts[6], counts[-1]) == (1500, 1500, 1620, 1700)


def test_events_are_means_of_ten_steps(whole: Whole) -> None:
    rows = read_events(whole.fit.run / "events.jsonl")
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert rows[1]["loss"] == pytest.approx(sum(report.loss for report in whole.reports[10:20]) / 10)
    assert rows[2]["psnr"] == pytest.approx(sum(report.psnr for report in whole.reports[20:]) / 10)
    assert rows[2]["num_gaussians"] == whole.reports[-1].facts["num_gaussians"]


def test_the_last_checkpoint_is_the_avatar(whole: Whole) -> None:
    folder = newest_checkpoint(whole.fit.run)
    assert folder.name == "checkpoint-0000030"
    loaded, ours = load_hybrid(whole.fit.run), whole.fit.avatar.state_dict()
    assert loaded.frame_ids == (0, 7, 14)
    assert_identical(dict(loaded.state_dict()), dict(ours))
    assert torch.equal(loaded.poses.local_quats, whole.fit.capture.poses.local_quats[[0, 7, 14]])


def test_a_finished_fit_takes_no_step(whole: Whole, start: Start) -> None:
    again = start(whole.fit.run, steps=30)
    assert list(again) == []
    assert_identical(state(again), whole.state)


def test_the_same_seed_is_the_same_avatar(whole: Whole, start: Start, tmp_path: Path) -> None:
    assert_identical(state(run_to(start(tmp_path, steps=30), 30)), whole.state)


def test_another_seed_is_another(whole: Whole, recipe: HybridFitConfig, start: Start, tmp_path: Path) -> None:
    other = start(tmp_path, replace(recipe, seed=1))
    assert not torch.equal(other.avatar.canonical.barycentrics, whole.fit.avatar.canonical.barycentrics[:1500])
    assert [other.frame(step).frame_id for step in range(12)] != [whole.fit.frame(step).frame_id for step in range(12)]


def test_interrupted_often_it_ends_at_the_same_bits(whole: Whole, start: Start, tmp_path: Path) -> None:
    """Before the first step that changes the count, at such a step, and after it."""
    for stop in (1, 6, 7, 11, 19, 29):
        run_to(start(tmp_path, steps=30), stop).save()
        assert [path.name for path in tmp_path.glob("*checkpoint-*")] == [f"checkpoint-{stop:07d}"]
    assert_identical(state(run_to(start(tmp_path, steps=30), 30)), whole.state)


def test_killed_it_does_the_steps_since_its_checkpoint_again(whole: Whole, start: Start, tmp_path: Path) -> None:
    fit = run_to(start(tmp_path, steps=30), 13)
    fit.save()
    run_to(fit, 21)
    assert [row["step"] for row in read_events(tmp_path / "events.jsonl")] == [10, 20]
    resumed = start(tmp_path, steps=30)
    assert resumed.step == 13
    assert [row["step"] for row in read_events(tmp_path / "events.jsonl")] == [10]
    assert_identical(state(run_to(resumed, 30)), whole.state)
    assert [row["step"] for row in read_events(tmp_path / "events.jsonl")] == [10, 20, 30]


def test_killed_before_its_first_checkpoint_it_begins_anew(whole: Whole, start: Start, tmp_path: Path) -> None:
    run_to(start(tmp_path, steps=30), 12)
    again = start(tmp_path, steps=30)
    assert again.step == 0
    assert read_events(tmp_path / "events.jsonl") == []
    assert_identical(state(run_to(again, 30)), whole.state)


def test_looking_on_changes_nothing(whole: Whole, start: Start, tmp_path: Path) -> None:
    """Saving, rendering and drawing random numbers between steps leave no trace."""
    fit = start(tmp_path, steps=30)
    for report in fit:
        torch.rand(report.step)
        if report.step % 8 == 0:
            fit.save()
            with torch.no_grad():
                fit.avatar.posed(fit.capture.pose(3))
    assert_identical(state(fit), whole.state)


def test_a_longer_limit_goes_on(start: Start, tmp_path: Path) -> None:
    run_to(start(tmp_path, steps=3), 3)
    longer = start(tmp_path, steps=5)
    assert [report.step for report in longer] == [4, 5]


@pytest.mark.parametrize(("seconds", "saved"), [(0.0, [1, 2, 3, 4]), (1000.0, [4])])
def test_checkpoints_come_in_time(
    seconds: float, saved: list[int], start: Start, recipe: HybridFitConfig, tmp_path: Path
) -> None:
    found = []
    for report in start(tmp_path, replace(recipe, checkpoint_seconds=seconds), steps=4):
        found += [report.step for path in tmp_path.glob("checkpoint-*") if int(path.name[-7:]) == report.step]
    assert found == saved


def test_every_epoch_shows_every_picture_once(start: Start, corner: Split, tmp_path: Path) -> None:
    fit = start(tmp_path)
    pairs = [(frame.frame_id, frame.camera_id) for frame in map(fit.frame, range(24))]
    epochs = [tuple(pairs[first : first + 6]) for first in range(0, 24, 6)]
    assert all(set(epoch) == set(corner.pairs()) for epoch in epochs)
    assert len(set(epochs)) > 1, "in an order that changes"


def test_unwanted_parts_are_not_learnt(start: Start, recipe: HybridFitConfig, tmp_path: Path) -> None:
    rates = replace(recipe.rates, refine=RefineRates(poses=0.0, exposure=0.0), displacement=0.0)
    fit = run_to(start(tmp_path, replace(recipe, rates=rates), steps=3), 3)
    learnt = dict(fit.avatar.named_parameters())
    assert not any(bool(value.any()) for name, value in learnt.items() if name.startswith(("refinement.p", "exposure")))
    assert bool(learnt["refinement.joints.offsets"].any())
    assert bool(learnt["refinement.cameras.turns"].any())
    assert not bool(fit.avatar.canonical.displacement.any())
    assert bool(fit.avatar.canonical.offsets.any())


def with_prior(recipe: HybridFitConfig, part: str, strength: float) -> HybridFitConfig:
    if part == "canonical.displacement":
        return replace(recipe, surface=SurfaceConfig(stretch=strength))
    refine = replace(recipe.avatar.refine, prior=strength)
    return replace(recipe, avatar=replace(recipe.avatar, refine=refine))


PARTS = ["poses.axis_angles", "joints.offsets", "cameras.shifts"]


@pytest.mark.parametrize("part", ["canonical.displacement", *(f"refinement.{part}" for part in PARTS)])
def test_priors_hold_back(part: str, start: Start, recipe: HybridFitConfig, tmp_path: Path) -> None:
    sizes = []
    for strength in (0.0, 1e6):
        fit = run_to(start(tmp_path / str(strength), with_prior(recipe, part, strength), steps=6), 6)
        sizes.append(float(fit.avatar.get_parameter(part).detach().norm()))
    assert sizes[1] < 0.8 * sizes[0]


@pytest.fixture
def saved(start: Start, tmp_path: Path) -> Path:
    """A run folder with a checkpoint after two steps."""
    run_to(start(tmp_path, steps=20), 2).save()
    return tmp_path


def test_another_split_recipe_or_capture_is_refused(
    saved: Path, start: Start, sample: Capture, corner: Split, recipe: HybridFitConfig
) -> None:
    for changed, fit in {
        "split": lambda: start(saved, split=replace(corner, name="other")),
        "recipe": lambda: start(saved, replace(recipe, checkpoint_seconds=2.0)),
        "capture": lambda: HybridFit(replace(sample, name="other"), corner, saved, recipe, Limits(steps=20)),
    }.items():
        with pytest.raises(ValueError, match=f"{saved}: holds a fit with another {changed}; give another --run"):
            fit()
    assert start(saved).step == 2, "and nothing is harmed"


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "training.json": lambda path: path.write_text(""),
    "training.json without step": lambda path: path.write_text('{"capture": "dancer"}'),
    "training.json a list": lambda path: path.write_text("[1]"),
    "training.safetensors": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "avatar.safetensors": lambda path: path.write_bytes(b""),
    "config.json": lambda path: path.write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_checkpoints_are_named(damage: str, saved: Path, start: Start) -> None:
    path = newest_checkpoint(saved) / damage.split()[0]
    DAMAGE[damage](path)
    with pytest.raises(ValueError, match=r"damaged|not an avatar's config") as caught:
        start(saved)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["training.json", "training.safetensors", "avatar.safetensors"])
def test_missing_files_are_named(name: str, saved: Path, start: Start) -> None:
    path = newest_checkpoint(saved) / name
    path.unlink()
    with pytest.raises(FileNotFoundError, match=name):
        start(saved)


def test_the_training_state_says_whose_it_is(saved: Path) -> None:
    path = newest_checkpoint(saved) / "training.json"
    progress = json.loads(path.read_text())
    assert {"step", "seconds", "rounds", "completions", "capture", "split", "recipe", "source"} == set(progress)
    assert (progress["step"], progress["capture"], progress["split"]) == (2, "dancer", "corner")


@pytest.mark.parametrize(
    "name", ["canonical.colors", "canonical.offsets", "deform.correctives.codes", "deform.light.coefficients"]
)
def test_one_bad_number_ends_the_run_and_keeps_the_checkpoint(name: str, saved: Path, start: Start) -> None:
    """Although nothing that is no number is drawn, so that the loss stays one."""
    fit = start(saved)
    with torch.no_grad():
        dict(fit.avatar.named_parameters())[name].fill_(math.nan)
    with pytest.raises(ValueError, match=r"step \d: the gradient is no number in frame \d+ of camera camera_\d"):
        list(fit)
    assert start(saved).step == 2


def test_pictures_that_cannot_be_read_end_the_run(
    saved: Path, sample: Capture, corner: Split, recipe: HybridFitConfig
) -> None:
    def missing(frame_id: int, camera_id: int, cropped: bool) -> Any:
        raise FileNotFoundError("camera_3/000007.jpg: missing")

    fit = HybridFit(replace(sample, load_frame=missing), corner, saved, recipe, Limits(steps=20))
    with pytest.raises(FileNotFoundError, match=r"camera_3/000007\.jpg"):
        next(iter(fit))


def test_a_budget_of_time_ends(sample: Capture, corner: Split, recipe: HybridFitConfig, tmp_path: Path) -> None:
    reports = list(HybridFit(sample, corner, tmp_path, recipe, Limits(steps=None, budget_seconds=0.25)))
    assert all(report.seconds < 0.25 for report in reports[:-1])
    assert reports[-1].seconds >= 0.25
    assert reports[-1].fraction == 1


def test_whichever_limit_comes_first() -> None:
    limits = Limits(steps=100, budget_seconds=10.0)
    fractions = {(0, 0.0): 0.0, (50, 1.0): 0.5, (10, 7.0): 0.7, (100, 1.0): 1.0, (200, 0.0): 1.0, (1, 99.0): 1.0}
    assert {place: limits.fraction(*place) for place in fractions} == pytest.approx(fractions)
    assert Limits(steps=4).fraction(3, 1e9) == 0.75
    assert Limits(steps=None, budget_seconds=4.0).fraction(10**9, 3.0) == 0.75


@pytest.mark.parametrize(
    ("steps", "seconds"), [(None, None), (0, None), (-1, None), (10, 0.0), (None, -1.0), (None, math.nan)]
)
def test_limits_are_checked(steps: int | None, seconds: float | None) -> None:
    with pytest.raises(ValueError, match="Limits: expected positive steps or budget_seconds"):
        Limits(steps=steps, budget_seconds=seconds)


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_configs_are_checked(value: Any) -> None:
    with pytest.raises(ValueError, match=r"HybridFitConfig\.checkpoint_seconds: expected zero or more"):
        HybridFitConfig(checkpoint_seconds=value)


@pytest.mark.cuda
def test_on_cuda_it_learns_as_much_and_the_cpu_takes_it_up(sample, corner, recipe, whole: Whole, tmp_path: Path):
    there = HybridFit(sample, corner, tmp_path, recipe, Limits(steps=30), "cuda")
    reports = list(there)
    ours, truth = (sum(report.psnr for report in run[-6:]) / 6 for run in (reports, whole.reports))
    assert ours == pytest.approx(truth, abs=0.5)
    assert {tensor.device.type for tensor in there.avatar.state_dict().values()} == {"cuda"}
    here = HybridFit(sample, corner, tmp_path, recipe, Limits(steps=36))
    assert here.step == 30
    assert [report.step for report in here] == [31, 32, 33, 34, 35, 36]


def test_a_single_camera_is_not_learnt_by_heart(sample: Capture, recipe: HybridFitConfig, tmp_path: Path) -> None:
    """A budget of time that is not used up: sixty passes over one picture, and sixteen times as many over four."""
    one = Split(name="one", frame_ids=(0,), camera_ids=(0,))
    quick = replace(recipe, adapt=replace(recipe.adapt, rounds=0, walk_every=0))
    fit = HybridFit(sample, one, tmp_path / "one", quick, Limits(steps=None, budget_seconds=1000.0))
    assert sum(1 for _ in fit) == 60
    four = replace(one, camera_ids=(0, 1, 2, 3))
    fit = HybridFit(sample, four, tmp_path / "four", quick, Limits(steps=None, budget_seconds=1000.0))
    fit.step = 60 * 16 * 4 - 1
    assert 0.99 < fit.fraction < 1
