"""What recipes are made of."""

from dataclasses import replace
from importlib import import_module

import pytest

from avatar.deform import TriangleAffine
from avatar.train import FieldFitConfig, FieldRates, HybridFitConfig
from avatar.train.meta import CONFIGURED, EFFECTIVE, FirstOrderMaml, Reptile

make_recipe = import_module("avatar.configs").make_recipe
dual_space = import_module("avatar.configs.dual_space").dual_space
field_prior = import_module("avatar.configs.field_prior").field_prior


def test_the_hybrid_is_the_defaults() -> None:
    assert make_recipe("hybrid", 0) == HybridFitConfig()
    assert make_recipe("hybrid", 7).seed == 7


def test_refine_corrects_cameras_and_exposure_alone() -> None:
    refine = make_recipe("hybrid", 0, refine=True).avatar.refine
    assert (refine.cameras, refine.exposure, refine.poses, refine.joints) == (True, True, False, False)


def test_dual_space_tells_the_essence_nothing_of_the_world() -> None:
    avatar = dual_space(seed=3).avatar
    assert avatar.light is not None
    assert avatar.light.sees_directions
    assert not avatar.canonical.has_view_dependence
    assert avatar.deform.warp == TriangleAffine()
    assert dual_space(seed=3).seed == 3


def test_dual_space_is_told_the_moment_or_not() -> None:
    assert dual_space().avatar.codes is not None
    assert dual_space(codes=False).avatar.codes is None


def test_dual_space_without_light_is_the_same_but_for_it() -> None:
    assert dual_space(light=False) == replace(dual_space(), avatar=replace(dual_space().avatar, light=None))


def test_a_prior_is_learnt_at_the_rates_that_a_fit_has() -> None:
    meta = field_prior("reptile", "fit", 12, 2, 5).meta
    assert meta.method == Reptile(inner_steps=12)
    assert (meta.tasks_per_step, meta.seed) == (2, 5)
    names = ("table", "distance_in.weight", "colors.0.bias", "log_sharpness")
    assert [meta.rates.of(name) for name in names] == [FieldRates().of(f"canonical.{name}") for name in names]
    assert field_prior().avatar == FieldFitConfig().avatar


def test_a_prior_may_be_learnt_as_published() -> None:
    assert field_prior(inner_rates="configured").meta.rates == CONFIGURED
    assert field_prior("maml", "effective").meta.rates == EFFECTIVE
    assert field_prior("maml").meta.method == FirstOrderMaml()


def test_few_cameras_step_from_a_prior_with_care() -> None:
    bold = make_recipe("field", 0).rates
    rates = [make_recipe("field", 0, prior_cameras=count).rates.table / bold.table for count in (1, 2, 4, 8)]
    assert rates == sorted(rates)
    assert rates[0] < 0.4
    assert rates[2] == rates[3] == 1


@pytest.mark.parametrize(("name", "given"), [("field", {"refine": True}), ("hybrid", {"prior_cameras": 2})])
def test_what_a_recipe_has_not_is_refused(name: str, given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected the recipe"):
        make_recipe(name, 0, **given)
