"""Splitting and pruning, on a box."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import trimesh
from torch import Tensor

from avatar.canonical import Hybrid, HybridConfig
from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.structs import Mesh
from avatar.train import AdaptConfig, LearningRates
from avatar.train.adapt import Demand, adapt, walk
from avatar.train.optimizer import Optimizer

COUNT = 60
GROW = AdaptConfig(grow=0.1, min_opacity=0.02, walk_every=0)


class Wearing(torch.nn.Module):
    """What names the parameters as an avatar does."""

    def __init__(self) -> None:
        super().__init__()
        box = trimesh.creation.box(extents=[0.2, 0.4, 0.8])
        template = Mesh(vertices=torch.tensor(box.vertices, dtype=torch.float32), faces=torch.tensor(box.faces))
        self.canonical = Hybrid(template, HybridConfig(num_gaussians=COUNT, sh_degree=1))


@pytest.fixture
def worn() -> Wearing:
    """Sixty Gaussians, each of its own."""
    module, generator = Wearing(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


def stepped(module: Wearing) -> Optimizer:
    """An optimizer after two steps, so that every parameter has moments of its own."""
    optimizer, generator = Optimizer(module, LearningRates()), torch.Generator().manual_seed(1)
    for _ in range(2):
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step(1.0)
    return optimizer


def demand(pull: Tensor | None = None) -> Demand:
    """By default, the later a Gaussian, the harder it is pulled."""
    made = Demand(COUNT)
    made.pull = torch.arange(1.0, COUNT + 1) if pull is None else pull
    return made


def rows_of(canonical: Hybrid) -> dict[str, Tensor]:
    return {name: getattr(canonical, name).detach().clone() for name in PER_GAUSSIAN}


def test_demand_sums_lengths_in_pictures() -> None:
    made = Demand(2)
    made.add(torch.tensor([[0.3, 0.4], [0.0, 0.0]]), 100)
    made.add(torch.tensor([[0.0, 1.0], [0.0, -2.0]]), 10)
    assert made.pull.tolist() == pytest.approx([60.0, 20.0])


def test_the_most_wanted_are_split(worn: Wearing) -> None:
    before = rows_of(worn.canonical)
    adapt(worn.canonical, stepped(worn), demand(), GROW, seed=0)
    assert worn.canonical.num_gaussians == COUNT + 6
    parents, _ = halves(worn, before)
    assert sorted(parents.tolist()) == list(range(COUNT - 6, COUNT))


def parents_of(roots: Tensor, before: dict[str, Tensor]) -> Tensor:
    """Which Gaussians had these barycentrics."""
    return torch.stack([(before["barycentrics"] == row).all(1).nonzero()[0, 0] for row in roots])


def halves(worn: Wearing, before: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Where both halves of each split one are now; the first stays where its parent was."""
    second = torch.arange(COUNT, worn.canonical.num_gaussians)
    return parents_of(worn.canonical.barycentrics[second], before), second


def test_halves_part_evenly_and_shrink(worn: Wearing) -> None:
    optimizer = stepped(worn)
    before = rows_of(worn.canonical)
    axes, sizes = worn.canonical.surface_axes()
    adapt(worn.canonical, optimizer, demand(), GROW, seed=0)
    after = rows_of(worn.canonical)
    parents, second = halves(worn, before)
    middle = (after["offsets"][parents] + after["offsets"][second]) / 2
    torch.testing.assert_close(middle, before["offsets"][parents], atol=1e-6, rtol=0)
    apart = (after["offsets"][second] - before["offsets"][parents])[:, None] @ axes[parents]
    in_deviations = apart[:, 0] / sizes[parents]
    assert 0.2 < float(in_deviations.abs().mean()) < 1.2
    for half in (parents, second):
        torch.testing.assert_close(after["log_scales"][half], before["log_scales"][parents] - math.log(1.5))
        for name in ("quats", "opacity_logits", "colors", "sh_rest", "triangles", "barycentrics"):
            assert torch.equal(after[name][half], before[name][parents]), name
    others = torch.ones(COUNT, dtype=torch.bool)
    others[parents] = False
    for name in PER_GAUSSIAN:
        assert torch.equal(after[name][:COUNT][others], before[name][others]), name


def test_splits_follow_the_gaussians_own_axes(worn: Wearing) -> None:
    """A needle splits along itself."""
    with torch.no_grad():
        worn.canonical.log_scales.copy_(torch.tensor([0.05, 1e-6, 1e-6]).log().expand(COUNT, 3))
    before = rows_of(worn.canonical)
    optimizer = Optimizer(worn, LearningRates())
    axes, _ = worn.canonical.surface_axes()
    adapt(worn.canonical, optimizer, demand(), GROW, seed=0)
    parents, second = halves(worn, before)
    apart = worn.canonical.offsets.detach()[second] - before["offsets"][parents]
    along = (apart[:, None] @ axes[parents])[:, 0]
    assert float(along[:, 1:].abs().max()) < 1e-4 * float(along[:, 0].abs().max())


@pytest.mark.parametrize(("limit", "expected"), [(COUNT - 10, COUNT), (COUNT, COUNT), (COUNT + 4, COUNT + 4)])
def test_there_are_never_more_than_the_maximum(worn: Wearing, limit: int, expected: int) -> None:
    config = AdaptConfig(grow=0.5, max_gaussians=limit, walk_every=0)
    adapt(worn.canonical, stepped(worn), demand(), config, seed=0)
    assert worn.canonical.num_gaussians == expected


@torch.no_grad()
def test_faint_ones_are_dropped_and_make_room(worn: Wearing) -> None:
    worn.canonical.opacity_logits[:7] = torch.tensor(0.019).logit()
    worn.canonical.opacity_logits[7] = torch.tensor(0.021).logit()
    before = rows_of(worn.canonical)
    optimizer = Optimizer(worn, LearningRates())
    pull = torch.arange(COUNT, 0, -1.0)  # the faint ones are pulled hardest, and yet not split
    adapt(
        worn.canonical,
        optimizer,
        demand(pull),
        AdaptConfig(grow=0.5, max_gaussians=COUNT, walk_every=0),
        0,
    )
    assert worn.canonical.num_gaussians == COUNT
    assert torch.equal(worn.canonical.colors[: COUNT - 7], before["colors"][7:])
    assert torch.equal(worn.canonical.colors[COUNT - 7 :], before["colors"][7:14])
    assert bool((worn.canonical.opacity_logits.sigmoid() > 0.02).all())


def test_unseen_ones_are_not_split(worn: Wearing) -> None:
    """Where fewer are seen than may be split, the others stay whole."""
    pull = torch.zeros(COUNT)
    pull[:5] = 1.0
    adapt(worn.canonical, stepped(worn), demand(pull), AdaptConfig(grow=0.5, walk_every=0), seed=0)
    assert worn.canonical.num_gaussians == COUNT + 5


def test_moments_follow(worn: Wearing) -> None:
    """One is dropped, six are split."""
    optimizer = stepped(worn)
    with torch.no_grad():
        worn.canonical.opacity_logits[10] = -9.0
    rows = rows_of(worn.canonical)
    before = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    adapt(worn.canonical, optimizer, demand(), GROW, seed=0)
    source = torch.tensor([row for row in range(COUNT) if row != 10])
    source = torch.cat([source, parents_of(worn.canonical.barycentrics[COUNT - 1 :], rows)])
    assert len(source) == COUNT + 5
    after = optimizer.tensors()
    assert after.keys() == before.keys()
    for key, tensor in after.items():
        is_shared = key.endswith("/step") or key.startswith("canonical.displacement/")
        assert torch.equal(tensor, before[key] if is_shared else before[key][source]), key


def test_training_goes_on_with_the_new_ones(worn: Wearing) -> None:
    optimizer = stepped(worn)
    adapt(worn.canonical, optimizer, demand(), GROW, seed=0)
    before = rows_of(worn.canonical)
    worn.canonical().means.square().sum().backward()
    optimizer.step(1.0)
    assert bool((worn.canonical.offsets.detach() != before["offsets"]).any(1).all())


def test_the_seed_decides() -> None:
    results = []
    for seed in (0, 0, 1):
        worn = Wearing()
        adapt(worn.canonical, stepped(worn), demand(), GROW, seed)
        results.append(rows_of(worn.canonical))
    assert all(torch.equal(results[0][name], results[1][name]) for name in PER_GAUSSIAN)
    assert not torch.equal(results[0]["offsets"], results[2]["offsets"])


def test_nothing_to_do_changes_nothing(worn: Wearing) -> None:
    optimizer = stepped(worn)
    before = rows_of(worn.canonical)
    adapt(worn.canonical, optimizer, demand(), AdaptConfig(grow=0.0, min_opacity=0.0, walk_every=0), seed=0)
    after = rows_of(worn.canonical)
    assert all(torch.equal(before[name], after[name]) for name in PER_GAUSSIAN)


def test_first_moments_turn_with_the_walk(worn: Wearing) -> None:
    """As gradients taken after the walk would have filled them; the squares as if components were uncorrelated."""
    optimizer = stepped(worn)
    before = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    frames = worn.canonical._triangle_frames
    old = frames[worn.canonical.triangles]
    walk(worn.canonical, optimizer)
    new, after = frames[worn.canonical.triangles], optimizer.tensors()
    turns = new.mT @ old
    assert int(((turns - torch.eye(3)).abs().amax((1, 2)) > 0.1).sum()) > 5
    first, second = "canonical.offsets/exp_avg", "canonical.offsets/exp_avg_sq"
    torch.testing.assert_close((new @ after[first][..., None]), (old @ before[first][..., None]))
    torch.testing.assert_close(after[second], (turns.square() @ before[second][..., None])[..., 0])
    lengths = {name: value.norm(dim=1) for name, value in after.items() if name.endswith("quats/exp_avg")}
    assert all(bool((after[name] != before[name]).any()) for name in lengths)
    torch.testing.assert_close(lengths, {name: before[name].norm(dim=1) for name in lengths})
    unturned = [name for name in after if not name.startswith(("canonical.offsets/exp", "canonical.quats/exp"))]
    assert all(torch.equal(after[name], before[name]) for name in unturned)


def test_training_goes_on_after_a_walk(worn: Wearing) -> None:
    optimizer = stepped(worn)
    walk(worn.canonical, optimizer)
    before = rows_of(worn.canonical)
    worn.canonical().means.square().sum().backward()
    optimizer.step(1.0)
    assert bool((worn.canonical.offsets.detach() != before["offsets"]).any(1).all())
    walk(Wearing().canonical, Optimizer(Wearing(), LearningRates()))  # without moments there is nothing to turn


def test_halves_are_rooted_where_they_are(worn: Wearing) -> None:
    """On flat sides, that is with no offset along the surface; in the picture nothing differs."""
    with torch.no_grad():
        worn.canonical.displacement.zero_()
        worn.canonical.offsets.zero_()
        worn.canonical.log_scales.fill_(math.log(0.01))
    still = copy.deepcopy(worn)
    adapt(still.canonical, Optimizer(still, LearningRates()), demand(), GROW, seed=0)
    adapt(worn.canonical, Optimizer(worn, LearningRates()), demand(), replace(GROW, walk_every=1), seed=0)
    torch.testing.assert_close(worn.canonical().means, still.canonical().means, atol=1e-6, rtol=0)
    assert float(still.canonical.offsets[COUNT:, :2].detach().norm(dim=1).min()) > 1e-4
    assert float(worn.canonical.offsets[:, :2].detach().norm(dim=1).median()) < 1e-6
    assert not torch.equal(worn.canonical.barycentrics[COUNT:], still.canonical.barycentrics[COUNT:])


def test_when_roots_walk() -> None:
    steps = range(301)
    assert [step for step in steps if AdaptConfig(walk_every=100).walks_at(step)] == [100, 200, 300]
    assert not any(AdaptConfig(walk_every=0).walks_at(step) for step in steps)


def test_rounds_are_spread_from_start_to_stop() -> None:
    config = AdaptConfig(start=0.1, stop=0.5, rounds=4)
    fractions = {0.0: 0, 0.0999: 0, 0.1: 1, 0.19: 1, 0.21: 2, 0.31: 3, 0.41: 4, 0.5: 4, 1.0: 4}
    assert {fraction: config.rounds_due(fraction) for fraction in fractions} == fractions
    assert AdaptConfig(rounds=0).rounds_due(0.5) == 0
    assert AdaptConfig(start=0.3, stop=0.3, rounds=2).rounds_due(0.3) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"start": 0.7},
        {"stop": 1.1},
        {"start": -0.1},
        {"start": math.nan},
        {"rounds": -1},
        {"grow": -0.1},
        {"grow": 1.1},
        {"grow": math.nan},
        {"max_gaussians": -1},
        {"min_opacity": math.nan},
        {"walk_every": -1},
    ],
)
def test_configs_are_checked(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"AdaptConfig.*: expected"):
        AdaptConfig(**changes)
